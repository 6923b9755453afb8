"""HDF5 files that read other files, lie, are locked or hold NaN, by every reader of HDF5."""

import subprocess
import sys
import zlib

import h5py
import numpy as np
import pytest
import torch

from pcclust.cli.main import main
from pcclust.data import PointDataset, PointFolder, open_dataset, read_clouds, read_points
from pcclust.data.feature_file import is_feature_file, read_feature_file
from pcclust.data.prepare import prepare
from tests.data.dataset_layouts import clouds, write_h5

# Every way in which an HDF5 file is read.
READERS = {
    "clouds": lambda path: list(read_clouds(path)),
    "dataset": lambda path: open_dataset(path).points,
    "features": read_feature_file,
}


def write_all(path, make):
    """Writes what is needed for every reader, of which `make` makes the two large arrays."""
    with h5py.File(path, "w") as file:
        file["label"] = np.arange(4) % 2
        make(file, "data", clouds(4, 8))
        make(file, "features", np.eye(4))


def external_storage(file, name, values):
    raw = f"{file.filename}.{name}.raw"
    np.ascontiguousarray(values).tofile(raw)
    size = values.nbytes
    file.create_dataset(name, values.shape, values.dtype, external=[(raw, 0, size)])


def other_file(file, name, values):
    path = f"{file.filename}.{name}.h5"
    with h5py.File(path, "w") as other:
        other[name] = values
    return path


def virtual_dataset(file, name, values):
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[:] = h5py.VirtualSource(other_file(file, name, values), name, values.shape)
    file.create_virtual_dataset(name, layout)


def external_link(file, name, values):
    file[name] = h5py.ExternalLink(other_file(file, name, values), name)


def soft_link(file, name, values):
    file[f"elsewhere/{name}"] = values
    file[name] = h5py.SoftLink(f"/elsewhere/{name}")


def linked_group(file, name, values):
    if name == "data":
        file["more"] = h5py.ExternalLink(other_file(file, name, values), "/")
    file[name] = values


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (external_storage, r"'(data|features)' is kept in other files, which are not read"),
        (virtual_dataset, r"'(data|features)' is kept in other files, which are not read"),
        (external_link, r"'(data|features)' is a link, .* not followed"),
        (soft_link, r"'(data|features)' is a link"),
        (linked_group, "'more' is a link"),
    ],
)
def test_no_other_file_is_read(tmp_path, make, message, reader):
    write_all(tmp_path / "a.h5", make)
    with pytest.raises(ValueError, match=message) as caught:
        READERS[reader](tmp_path / "a.h5")
    assert str(caught.value).startswith(str(tmp_path / "a.h5"))


@pytest.mark.parametrize("reader", READERS)
def test_labels_of_another_file_are_not_read(tmp_path, reader):
    write_all(tmp_path / "a.h5", lambda file, name, values: file.create_dataset(name, data=values))
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["label"]
        external_link(file, "label", np.arange(4))
    with pytest.raises(ValueError, match="'label' is a link"):
        READERS[reader](tmp_path / "a.h5")


def never_written(file, name, values):
    file.create_dataset(name, (values.shape[0], 10**9, *values.shape[2:]), "f4", chunks=True)


def half_written(file, name, values):
    array = file.create_dataset(name, values.shape, values.dtype, chunks=(1, *values.shape[1:]))
    array[:2] = values[:2]


def without_room(file, name, values):
    file.create_dataset(name, (values.shape[0], 10**9, *values.shape[2:]), "f4")


def blown_up(file, name, values):
    shape = (values.shape[0], 700_000, *values.shape[2:])
    array = file.create_dataset(name, shape, "f8", chunks=(1, *shape[1:]), compression="gzip")
    block = zlib.compress(bytes(array.nbytes // len(array)))
    for row in range(len(array)):
        array.id.write_direct_chunk((row, 0, 0), block)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (never_written, r"only 0 of the [\d,]+ blocks of its '(data|features)' .* were written"),
        (half_written, r"only 2 of the 4 blocks of its '(data|features)'"),
        (without_room, r"need [\d,]+ bytes, but 0 are there"),
    ],
)
def test_arrays_that_are_not_all_there(tmp_path, make, message, reader):
    write_all(tmp_path / "a.h5", make)
    with pytest.raises(ValueError, match=message) as caught:
        READERS[reader](tmp_path / "a.h5")
    assert str(caught.value).startswith(str(tmp_path / "a.h5"))


def test_arrays_that_expand_beyond_the_limit(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        blown_up(file, "data", clouds(4, 8))
    with pytest.raises(ValueError, match=r"would become 67,200,000.* set PCCLUST_MAX_EXPANSION"):
        open_dataset(tmp_path / "a.h5")
    monkeypatch.setenv("PCCLUST_MAX_EXPANSION", "5000")
    assert len(open_dataset(tmp_path / "a.h5")) == 4
    monkeypatch.setenv("PCCLUST_MAX_EXPANSION", "much")
    with pytest.raises(ValueError, match="PCCLUST_MAX_EXPANSION='much' must be a number"):
        open_dataset(tmp_path / "a.h5")


HOLD = "import h5py, sys; f = h5py.File(sys.argv[1], 'a'); print(1, flush=True); input()"


def test_a_locked_file_is_said_to_be_locked(tmp_path):
    path = tmp_path / "a.h5"
    write_all(path, lambda file, name, values: file.create_dataset(name, data=values))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        writer.stdout.readline()
        for read in (*READERS.values(), is_feature_file):
            with pytest.raises(OSError, match=r"a\.h5 is locked: another program") as caught:
                read(path)
            assert "fetch" not in str(caught.value)
        writer.communicate(b"\n")
    for read in READERS.values():
        read(path)


def test_points_under_any_usual_name(tmp_path):
    for name in ("data", "points", "XYZ", "pos", "group/points"):
        write_h5(tmp_path / "a.h5", **{name: clouds(3, 4)})
        assert np.array_equal(open_dataset(tmp_path / "a.h5").points.numpy(), clouds(3, 4))
    write_h5(tmp_path / "a.h5", points=clouds(3, 4).reshape(-1, 3), offsets=np.array([0, 5, 12]))
    with pytest.raises(ValueError, match=r"it holds points \(12, 3\): shapes of several sizes"):
        open_dataset(tmp_path / "a.h5")


# NaN


@pytest.fixture
def spoiled(tmp_path):
    points = clouds(150, 16)
    points[130, 5, 1] = np.nan
    write_h5(tmp_path / "a.h5", data=points, label=np.arange(150) % 3)
    return tmp_path / "a.h5"


WORD = r"a\.h5: shape 130, point 5 is not finite in float32: \[.*nan.*\]"


def test_nan_is_named_by_file_shape_and_point(spoiled):
    dataset = open_dataset(spoiled)
    for rows in (torch.arange(150), torch.tensor([3, 130]), torch.tensor([130])):
        with pytest.raises(ValueError, match=WORD):
            dataset.batch(rows)
    assert dataset.batch(torch.tensor([129, 131])).isfinite().all()  # of the same block
    with pytest.raises(ValueError, match=WORD):
        dataset.load()
    write_h5(spoiled.with_name("b.h5"), data=clouds(10, 16))
    both = open_dataset(spoiled.with_name("b.h5")), dataset
    assert both[0].points.isfinite().all()


def test_nan_of_shapes_in_memory_is_named():
    points = torch.zeros(300, 8, 3)
    points[200, 5] = torch.nan
    shapes = PointDataset(points)
    word = r"shape 200, point 5 is not finite: \[nan, nan, nan\]"
    with pytest.raises(ValueError, match=word):
        shapes.points  # noqa: B018 (reads them)
    with pytest.raises(ValueError, match=word):
        shapes.batch(torch.tensor([3, 200]))
    assert shapes.batch(torch.tensor([199, 201])).isfinite().all()


def test_prepare_names_the_shape_and_keeps_the_others(spoiled):
    made = prepare(open_dataset(spoiled), spoiled.with_name("out.h5"), workers=0)
    assert made.count == 149
    assert "shape 130, point 5" in made.failures[0].reason


def run(*arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return caught.value.code


def test_commands_name_the_shape(spoiled, capsys):
    out = spoiled.with_name("out")
    assert run("cluster", spoiled, "--clusters", 3, "--seeds", 1, "--out", out) == 1
    assert "shape 130, point 5" in capsys.readouterr().err
    assert run("train", spoiled, "--model", "pointnet", "--num-points", 16, "--out", out / "r") == 1
    assert "shape 130, point 5" in capsys.readouterr().err
    assert run("rri", spoiled, "--k", 4, "--out", out / "f.h5") == 1
    assert "a.h5[130]: points[5] is not finite" in capsys.readouterr().err


# Precision


def georeferenced(count=3):
    generator = np.random.default_rng(0)
    local = generator.integers(-5000, 5000, size=(count, 20, 3)) / 1000  # millimetres
    return local, local + np.array([500_000, 5_400_000, 300])


def check_detail(points, local):
    centred = torch.as_tensor(points).double() - torch.as_tensor(points).double().mean(1, True)
    wanted = local - local.mean(1, keepdims=True)
    np.testing.assert_allclose(centred, wanted, atol=2e-6)


@pytest.mark.parametrize("dtype", ["f8", ">f8"])
def test_georeferenced_hdf5_keeps_millimetres(tmp_path, dtype):
    local, far = georeferenced()
    write_h5(tmp_path / "a.h5", data=far.astype(dtype))
    dataset = open_dataset(tmp_path / "a.h5")
    check_detail(dataset.points, local)
    check_detail(dataset.batch(torch.tensor([2])), local[2:])
    assert dataset.points.dtype == torch.float32


def test_georeferenced_integers_keep_millimetres(tmp_path):
    local, far = georeferenced()
    write_h5(tmp_path / "a.h5", data=(far * 1000).round().astype("i8"))
    check_detail(open_dataset(tmp_path / "a.h5").points / 1000, local)


def test_georeferenced_files_and_tensors_keep_millimetres(tmp_path):
    local, far = georeferenced(1)
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, far[0])
    np.savetxt(tmp_path / "c.xyz", far[0], fmt="%.4f")
    points = PointFolder(tmp_path, num_points=20).points
    check_detail(points, np.repeat(local, 3, axis=0))
    check_detail(PointDataset(torch.from_numpy(far)).points, local)


def test_near_shapes_stay_in_place(tmp_path):
    near = np.random.default_rng(0).normal(size=(3, 8, 3)) + 5
    write_h5(tmp_path / "a.h5", data=near)
    assert np.array_equal(open_dataset(tmp_path / "a.h5").points.numpy(), near.astype(np.float32))


def test_values_beyond_float32_are_named(tmp_path):
    points = clouds(3, 8).astype("f8")
    points[1, 2, 0] = 1e300
    write_h5(tmp_path / "a.h5", data=points)
    with pytest.raises(ValueError, match=r"a\.h5: shape 1, point \d is not finite in float32"):
        open_dataset(tmp_path / "a.h5").points  # noqa: B018 (reads them)


def test_points_of_features_are_read_by_the_same_rules(tmp_path):
    local, far = georeferenced()
    np.savez(tmp_path / "a.npz", features=np.eye(3), points=far)
    shapes = read_feature_file(tmp_path / "a.npz")[1]
    scale = np.linalg.norm(local - local.mean(1, keepdims=True), axis=2).max(1)
    check_detail(shapes.points.numpy() * scale[:, None, None], local)
    far[2, 7, 1] = np.nan
    np.savez(tmp_path / "a.npz", features=np.eye(3), points=far)
    with pytest.raises(ValueError, match=r"a\.npz: shape 2, point 7 is not finite"):
        read_feature_file(tmp_path / "a.npz")


def test_a_dataset_of_no_arrays(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("data")
    with pytest.raises(ValueError, match=r"a\.h5: no dataset 'data' .*it holds nothing"):
        open_dataset(tmp_path / "a.h5")
    with pytest.raises(ValueError, match=r"a\.h5: holds no arrays that may be points"):
        read_points(tmp_path / "a.h5")
