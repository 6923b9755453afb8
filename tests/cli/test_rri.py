"""`pcclust rri` as a user runs it, in this process."""

import h5py
import numpy as np
import pytest
import trimesh

import pcclust
from pcclust.cli import rri as command
from pcclust.cli.main import main
from pcclust.data import read_points
from pcclust.data.feature_arrays import FeatureArrays
from pcclust.data.formats.pcd import read_header
from pcclust.data.partial_output import FeatureOutput


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["rri", *map(str, arguments)])
    return int(stopped.value.code)


@pytest.fixture
def meshes(tmp_path):
    """Four meshes in two folders, one called as another but for its ending."""
    folder = tmp_path / "meshes"
    (folder / "inner").mkdir(parents=True)
    for number, name in enumerate(["a.off", "a.ply", "inner/b.obj", "inner/c.stl"]):
        mesh = trimesh.creation.box(extents=(1, 2 + number, 3))
        mesh.apply_translation((1000 * number, 0, 0))
        mesh.export(folder / name)
    return folder


@pytest.fixture
def ragged(tmp_path):
    """Clouds of 12 to 19 points, one file each."""
    folder = tmp_path / "clouds"
    folder.mkdir()
    for number in range(8):
        points = np.random.default_rng(number).normal(size=(12 + number, 3))
        np.savetxt(folder / f"{number}.xyz", points + 1e6)
    return folder


def load(path):
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    with h5py.File(path) as file:
        return {name: file[name].asstr()[:] if name == "names" else file[name][:] for name in file}


def check_columns(result, starts):
    """Column j of a point is of the neighbour whose position in the shape is written there."""
    points, k = result["points"].reshape(-1, 3), result["neighbors"].shape[-1]
    rows = result["neighbors"].reshape(-1, k)
    features = result["features"].reshape(-1, k, 4)
    assert rows.dtype == np.int32
    for begin, end in zip(starts, [*starts[1:], len(points)], strict=True):
        shape, near = points[begin:end], rows[begin:end]
        np.testing.assert_array_equal(near, pcclust.knn(shape, k, exclude_self=True).indices)
        reach = np.linalg.norm(shape[near], axis=2)
        np.testing.assert_allclose(features[begin:end, :, 1], reach, atol=1e-5)


@pytest.mark.parametrize("out", ["f.h5", "f.hdf5", "f.npz"])
@pytest.mark.parametrize("batch", [25, 10**6])
def test_equal_shapes_lie_dense(tmp_path, meshes, out, capsys, monkeypatch, batch):
    monkeypatch.setattr(command, "POINTS_PER_BATCH", batch)
    assert run(meshes, "--out", tmp_path / out, "--k", 6, "--num-points", 50, "--seed", 4) == 0
    result = load(tmp_path / out)
    assert result["points"].shape == (4, 50, 3)
    assert result["features"].shape == (4, 50, 6, 4)
    assert result["points"].dtype == result["features"].dtype == np.float32
    for name, centroid, points, features in zip(
        *(result[key] for key in ("names", "centroids", "points", "features")), strict=True
    ):
        read = read_points(name, 50, 4, dtype=np.float64)
        np.testing.assert_allclose(centroid, read.mean(axis=0), atol=1e-9)
        np.testing.assert_allclose(points, read - read.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(features, pcclust.rri(points, 6), atol=1e-6)
    check_columns(result, range(0, 200, 50))
    text = " ".join(capsys.readouterr().out.split())
    assert "4 shapes, points (4, 50, 3), features (4, 50, 6, 4)" in text
    assert not (tmp_path / f"{out}.partial").exists()


@pytest.mark.parametrize("out", ["f.h5", "f.npz"])
@pytest.mark.parametrize("batch", [25, 10**6])
def test_shapes_of_different_sizes_are_packed(tmp_path, ragged, out, monkeypatch, batch):
    monkeypatch.setattr(command, "POINTS_PER_BATCH", batch)
    assert run(ragged, "--out", tmp_path / out, "--k", 5) == 0
    result = load(tmp_path / out)
    np.testing.assert_array_equal(result["offsets"], np.cumsum([0, *range(12, 20)]))
    assert result["features"].shape == (124, 5, 4)
    for number, name in enumerate(result["names"]):
        rows = slice(*result["offsets"][number : number + 2])
        read = read_points(name, dtype=np.float64)
        # The clouds lie a million units away: centred in float64, nothing of them is lost.
        expected = pcclust.rri(read - read.mean(axis=0), 5)
        np.testing.assert_allclose(result["features"][rows], expected, atol=2e-4)
    check_columns(result, result["offsets"][:-1])


def test_settings_are_kept_with_the_features(tmp_path, meshes):
    assert run(meshes, "--out", tmp_path / "f.h5", "--k", 6, "--seed", 3) == 0
    with h5py.File(tmp_path / "f.h5") as file:
        settings = dict(file.attrs)
        assert file["points"].shape == (4, 1024, 3)
    assert settings.pop("channels").tolist() == ["r_i", "r_ik", "theta_ik", "phi_ik"]
    assert settings == {"k": 6, "seed": 3, "format": "h5", "pcclust": pcclust.__version__}


def test_features_can_be_read_as_clouds_again(tmp_path, ragged):
    run(ragged, "--out", tmp_path / "f.npz", "--k", 5)
    assert run(tmp_path / "f.npz", "--out", tmp_path / "g.h5", "--k", 5) == 0
    first, second = load(tmp_path / "f.npz"), load(tmp_path / "g.h5")
    np.testing.assert_allclose(second["features"], first["features"], atol=1e-5)
    assert second["names"][3] == f"{tmp_path / 'f.npz'}[3]"


@pytest.mark.parametrize("workers", [0, 2])
def test_same_command_same_file(tmp_path, ragged, workers):
    for name in ("a.npz", "b.npz"):
        assert run(ragged, "--out", tmp_path / name, "--k", 5, "--workers", workers) == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_bad_file_is_named_and_stops_nothing(tmp_path, ragged, capsys):
    (ragged / "2.xyz").write_text("1 2 3\n1 2 three\n")
    (ragged / "5.off").write_text("OFF\n9 9 0\n")
    np.savetxt(ragged / "6.xyz", np.eye(3))
    assert run(ragged, "--out", tmp_path / "f.h5", "--k", 5) == 1
    assert len(load(tmp_path / "f.h5")["names"]) == 6
    errors = capsys.readouterr().err
    assert "3 could not be used" in errors
    assert f"{ragged / '2.xyz'}: row 2 is no point: its z 'three' is no number" in errors
    assert "the OFF header declares 9 vertices and 9 faces, but 0 rows follow" in errors
    assert f"{ragged / '6.xyz'}: --k 5 exceeds the 2 other points" in errors
    assert "Traceback" not in errors


def test_nothing_is_written_where_nothing_can_be_read(tmp_path, capsys):
    (tmp_path / "a.off").write_text("OFF")
    assert run(tmp_path, "--out", tmp_path / "f.h5") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.off"]
    assert "Nothing is written" in capsys.readouterr().err


# Clouds for viewers


@pytest.mark.parametrize("format", ["ply", "pcd"])
def test_clouds_carry_the_channels(tmp_path, meshes, format):
    out = tmp_path / "coloured"
    assert run(meshes, "--out", out, "--format", format, "--k", 6, "--num-points", 40) == 0
    files = sorted(str(path.relative_to(out)) for path in out.rglob(f"*.{format}"))
    assert files == [f"a.off.{format}", f"a.ply.{format}", f"inner/b.{format}", f"inner/c.{format}"]
    read = read_points(meshes / "inner/b.obj", 40, dtype=np.float64)
    np.testing.assert_allclose(read_points(out / f"inner/b.{format}"), read, rtol=1e-6, atol=1e-9)
    scalars = scalars_of(out / f"inner/b.{format}")
    features = pcclust.rri(read - read.mean(axis=0), 6)
    np.testing.assert_allclose(scalars["r"], features[:, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(scalars["neighbor_r_mean"], features[..., 1].mean(1), rtol=1e-5)
    np.testing.assert_allclose(scalars["theta_mean"], features[..., 2].mean(1), atol=1e-5)
    np.testing.assert_allclose(scalars["phi_max"], features[..., 3].max(1), atol=1e-3)


def scalars_of(path):
    if path.suffix == ".ply":
        cloud = trimesh.load_scene(path).geometry.popitem()[1]
        vertex = cloud.metadata["_ply_raw"]["vertex"]["data"]
        return {name: vertex[name].ravel() for name in vertex.dtype.names}
    content = path.read_bytes()
    header = read_header(content)
    record = [(field.name, field.dtype) for field in header.fields]
    rows = np.frombuffer(content, record, header.points, header.body)
    return {name: rows[name] for name in ("r", "neighbor_r_mean", "theta_mean", "phi_max")}


def test_clouds_of_one_file_are_numbered(tmp_path):
    np.save(tmp_path / "many.npy", np.random.default_rng(0).normal(size=(3, 12, 3)))
    assert run(tmp_path / "many.npy", "--out", tmp_path / "o", "--format", "ply", "--k", 5) == 0
    names = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert names == ["many_0.ply", "many_1.ply", "many_2.ply", "settings.json"]


# Wrong use


def check_refused(capsys, tmp_path, message, *arguments):
    before = sorted(tmp_path.rglob("*"))
    assert run(*arguments) in (1, 2)
    errors = " ".join(capsys.readouterr().err.split())
    assert message in errors
    assert "Traceback" not in errors
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "{tmp}/f.txt"], "must end in .h5 or .npz, or be given --format ply or pcd"),
        (["--out", "{tmp}/lost/f.h5"], "lost does not exist; create it first"),
        (["--out", "{tmp}/file/f.h5"], "file is a file, not a folder"),
        (["--out", "/proc/f.h5"], "nothing can be written to /proc/f.h5"),
        (["--out", "{tmp}/meshes"], "must end in .h5 or .npz"),
        (["--out", "{tmp}/meshes", "--format", "ply"], "meshes is there already"),
        (["--out", "{tmp}/f.h5", "--format", "ply"], "f.h5 is no folder"),
        (["--out", "{tmp}/f.h5", "--k", "0"], "--k 0 must be at least 1"),
        (["--out", "{tmp}/f.h5", "--num-points", "20"], "--num-points 20 is too few for --k 20"),
        (["--out", "{tmp}/f.h5", "--num-points", "-5"], "--num-points -5 must be at least 1"),
        (["--out", "{tmp}/f.h5", "--seed", "-5"], "--seed -5 must be at least 0"),
        (["--out", "{tmp}/f.h5", "--workers", "-1"], "--workers -1 must not be negative"),
        (["--out", "{tmp}/f.h5", "--k", "many"], "invalid"),
        (["--out", "{tmp}/f.h5", "--format", "xyz"], "invalid choice"),
    ],
)
def test_options_that_cannot_work(tmp_path, meshes, capsys, options, message):
    (tmp_path / "file").touch()
    options = [option.format(tmp=tmp_path) for option in options]
    check_refused(capsys, tmp_path, message, meshes, *options)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "name at least one file"),
        (["{tmp}/lost.off"], "lost.off: there is no such file or folder"),
        (["{tmp}/meshes", "{tmp}/*.stl"], "no file matches it as a pattern"),
        (["{tmp}/empty"], "no file in this folder has a known format"),
    ],
)
def test_inputs_that_are_not_there(tmp_path, meshes, capsys, paths, message):
    (tmp_path / "empty").mkdir()
    paths = [path.format(tmp=tmp_path) for path in paths]
    check_refused(capsys, tmp_path, message, *paths, "--out", tmp_path / "f.h5")


# Interruption


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(command, "POINTS_PER_BATCH", 25)


def interrupt_at(monkeypatch, number):
    """Presses Ctrl-C at the given batch."""
    whole, calls = FeatureArrays.add, []

    def add(self: FeatureOutput, batch: object) -> None:
        calls.append(batch)
        if len(calls) == number:
            raise KeyboardInterrupt
        whole(self, batch)

    monkeypatch.setattr(FeatureArrays, "add", add)
    return lambda: monkeypatch.setattr(FeatureArrays, "add", whole)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("out", ["f.h5", "f.npz"])
def test_an_interrupted_run_goes_on(tmp_path, ragged, out, capsys, monkeypatch):
    options = [ragged, "--k", 5, "--out"]
    assert run(*options, tmp_path / f"whole{out[1:]}") == 0
    release = interrupt_at(monkeypatch, 3)
    assert run(*options, tmp_path / out) == 130
    assert "4 shapes are kept in" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / out).exists()
    release()
    assert run(*options, tmp_path / out) == 1  # without --resume
    assert "continue it with --resume" in capsys.readouterr().err
    assert run(ragged, "--k", 6, "--out", tmp_path / out, "--resume") == 1
    errors = " ".join(capsys.readouterr().err.split())
    assert "was begun with --k 5, but now --k 6 is asked for" in errors
    assert run(ragged / "7.xyz", *options[1:], tmp_path / out, "--resume") == 1
    assert "not among the inputs now" in capsys.readouterr().err
    assert run(*options, tmp_path / out, "--resume") == 0
    whole, resumed = load(tmp_path / f"whole{out[1:]}"), load(tmp_path / out)
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array)
    assert run(*options, tmp_path / out, "--resume") == 0
    assert "nothing to resume" in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("small_batches")
def test_an_interruption_before_anything_is_stored_leaves_nothing(tmp_path, ragged, monkeypatch):
    interrupt_at(monkeypatch, 1)
    assert run(ragged, "--k", 5, "--out", tmp_path / "f.h5") == 130
    assert [path.name for path in tmp_path.iterdir()] == ["clouds"]
