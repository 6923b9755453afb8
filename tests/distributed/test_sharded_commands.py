"""Shards of `pcclust embed` and `rri`: the bits of the command for one machine."""

import io
import json
import os
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import trimesh

import pcclust
from pcclust.distributed import manifest as manifest_module
from pcclust.distributed.manifest import MANIFEST, boundaries, parse_cut
from pcclust.distributed.shards import ShardFolder, shard_name
from pcclust.distributed.store import Store
from pcclust.evaluate.forward import Predictor
from tests.distributed.jobs import clouds, contents, rows_of, run, write_weights
from tests.methods.test_classification import NAMES, write


@pytest.fixture
def sociable(monkeypatch):
    """Lets a vector depend on all the shapes that it is described with, far beyond rounding."""
    ask = Predictor.__call__
    monkeypatch.setattr(Predictor, "__call__", lambda self, x: ask(self, x) + x.abs().mean())


@pytest.mark.usefixtures("sociable")
@pytest.mark.parametrize("shards", ["1", "3", "100", "300B"])
def test_vectors_are_those_of_one_machine_to_the_bit(tmp_path, embed, shards, capsys):
    assert embed("shapes/*", out="f.npz") == 1
    single = capsys.readouterr().err
    assert embed("shapes/*", out="s", shards=shards) == 1
    names, features = rows_of(tmp_path / "s")
    with np.load("f.npz") as arrays:
        assert names == arrays["names"].tolist()
        assert features.tobytes() == arrays["features"].tobytes()
    assert len(names) == 17
    said = capsys.readouterr().err
    assert said == single
    assert "2 could not be used" in said
    assert "a2x.off" in said
    assert "c.npy: all its points coincide" in said


@pytest.mark.parametrize("source", ["h5", "folder"])
def test_a_dataset_keeps_its_labels_and_on_demand_points(tmp_path, embed, source):
    if source == "h5":
        data = write(tmp_path / "shapes.h5")
    else:
        data = tmp_path / "classes"
        for at, cloud in enumerate(clouds(9)):
            (data / NAMES[at % 3]).mkdir(parents=True, exist_ok=True)
            np.save(data / NAMES[at % 3] / f"{at}.npy", cloud)
    assert embed(data, "--points", out="f.npz") == 0
    assert embed(data, "--points", out="s", shards=2) == 0
    names, features = rows_of("s")
    rows = [ShardFolder("s").read(0, 0, 3), ShardFolder("s").read(1, 0, 1)]
    with np.load("f.npz") as arrays:
        assert names == arrays["names"].tolist()
        assert features.tobytes() == arrays["features"].tobytes()
        first = ShardFolder("s").counts[0]
        labels = arrays["labels"]
        assert list(rows[0].labels) == list(labels[:3])
        assert list(rows[1].labels) == list(labels[first : first + 1])
        points = np.array(pq.read_table(f"s/{shard_name(0, 2)}").column("points").to_pylist())
        np.testing.assert_array_equal(points.reshape(len(points), -1, 3), arrays["points"][:first])
        assert ShardFolder("s").about.class_names == tuple(arrays["class_names"])


@pytest.mark.parametrize("source", ["h5", "glb", "far"])
def test_points_keep_which_way_is_up(tmp_path, embed, source):
    data = tmp_path / "up.h5"
    if source == "h5":
        write(data, up_axis="y")
    else:
        data = tmp_path / "glb"
        data.mkdir()
        trimesh.creation.box().export(data / "a.glb")
        trimesh.creation.capsule().export(data / "b.glb")
    if source == "far":
        data = f"memory://{tmp_path}/glb"
        fsspec.filesystem("memory").put(f"{tmp_path}/glb", f"{tmp_path}/glb", recursive=True)
    assert embed(data, "--points", out="s", shards=1) == 0
    assert ShardFolder("s").about.up_axis == "y"
    assert embed(data, out="t", shards=1) == 0
    assert ShardFolder("t").about.up_axis is None


def test_float16_is_what_float32_rounds_to(embed):
    assert embed("shapes/*", out="s", shards=2) == 1
    assert embed("shapes/*", out="h", shards=2, dtype="float16") == 1
    half, full = rows_of("h")[1], rows_of("s")[1]
    assert half.dtype == np.float16
    assert half.tobytes() == full.astype(np.float16).tobytes()


def test_what_is_beyond_float16_is_refused(embed, monkeypatch, capsys):
    ask = Predictor.__call__
    monkeypatch.setattr(Predictor, "__call__", lambda *a: ask(*a) * 1e9)
    assert embed("shapes/*", out="s", shards=2, dtype="float16") == 1
    assert "beyond float16, which ends at 65504: use --dtype float32" in capsys.readouterr().err


@pytest.mark.parametrize("num_points", [24, None])
def test_features_of_points_are_those_of_one_machine_to_the_bit(tmp_path, embed, num_points):
    given = ["--k", 4] + (["--num-points", num_points] if num_points else [])
    np.save("shapes/a9.npy", clouds(1, 4)[0][:20])
    np.save("shapes/few.npy", clouds(1, 4)[0][:3])
    assert run("rri", "shapes/*", "--out", "f.npz", *given) == 1
    assert run("rri", "shapes/*", "--out", "s", *given, "--shards", 3) == 1
    with np.load("f.npz") as arrays:
        tables = [pq.read_table(tmp_path / "s" / shard_name(shard, 3)) for shard in range(3)]
        rows = [row for table in tables for row in table.to_pylist()]
        assert [row["name"] for row in rows] == arrays["names"].tolist()
        for name, kind in (("features", np.float32), ("points", np.float32), ("neighbors", int)):
            flat = np.concatenate([np.array(row[name], kind) for row in rows])
            np.testing.assert_array_equal(flat.ravel(), arrays[name].ravel())
        centroids = np.array([row["centroid"] for row in rows])
        np.testing.assert_array_equal(centroids, arrays["centroids"])
        assert sum(row["size"] for row in rows) == arrays["points"].reshape(-1, 3).shape[0]


def test_stores_are_read_and_written_like_disks(tmp_path, embed, capsys):
    memory, far = fsspec.filesystem("memory"), f"memory://{tmp_path}"
    memory.put(str(tmp_path / "shapes"), f"{tmp_path}/shapes", recursive=True)
    capsys.readouterr()
    assert embed(f"{far}/shapes/*", out=f"{far}/s", shards=3) == 1
    error = capsys.readouterr().err
    assert f"{far}/shapes/a2x.off" in error
    assert "pcclust-" not in error
    assert embed("shapes/*", out="s", shards=3) == 1
    names, features = rows_of(f"{far}/s")
    here, same = rows_of("s")
    assert names == [f"{far}/{name}" for name in here]
    assert features.tobytes() == same.tobytes()
    left = [name.rpartition("/")[2] for name in memory.ls(f"{tmp_path}/s", detail=False)]
    assert sorted(left) == [MANIFEST, *(shard_name(shard, 3) for shard in range(3))]


def test_done_is_what_is_there(tmp_path, embed, capsys):
    assert embed("shapes/*", out="s", shards=4) == 1
    whole = contents(tmp_path / "s")
    kept = (tmp_path / "s" / shard_name(0, 4)).stat().st_mtime_ns
    (tmp_path / "s" / shard_name(2, 4)).unlink()
    capsys.readouterr()
    assert embed("shapes/*", out="s", shards=4) == 1
    said = capsys.readouterr()
    assert "17 shapes in 4 shards; " in said.out
    assert "2 could not be used" in said.err
    assert contents(tmp_path / "s") == whole
    assert (tmp_path / "s" / shard_name(0, 4)).stat().st_mtime_ns == kept
    assert embed("shapes/*", out="s", shards=4) == 1
    assert "none new" in capsys.readouterr().out
    assert sorted(file.name for file in (tmp_path / "s").iterdir()) == [MANIFEST, *sorted(whole)]


def test_tasks_of_an_array_make_the_shards_of_one_process(tmp_path, embed, capsys):
    assert embed("shapes/*", out="s", shards=5) == 1
    capsys.readouterr()
    codes = [embed("shapes/*", out="t", shards=5, shard=f"{task}/3") for task in (2, 3, 1)]
    assert "shapes in 2 shards of 5; " in capsys.readouterr().out
    assert sorted(codes) == [0, 1, 1]
    assert contents(tmp_path / "s") == contents(tmp_path / "t")
    assert embed("shapes/*", out="t", shards=5, shard="7/7") == 0
    assert "0 shapes in 0 shards of 5" in capsys.readouterr().out


def test_a_shard_in_which_nothing_can_be_read_is_empty(tmp_path, embed):
    for name in "abcd":
        (tmp_path / "shapes" / f"0{name}.off").write_text("OFF\n")
    assert embed("shapes/*", out="s", shards=5) == 1
    shards = ShardFolder("s")
    assert shards.counts == [0, 3, 4, 4, 6]
    assert len(shards.about.failures) == 4
    assert len(rows_of("s")[0]) == 17


@pytest.mark.parametrize(
    ("change", "was", "now"),
    [
        ({"num_points": 20}, "--num-points 24", "--num-points 20"),
        ({"batch-size": 5}, "--batch-size 4", "--batch-size 5"),
        ({"shards": 3}, "--shards 2", "--shards 3"),
        ({"dtype": "float16"}, "dtype=float32", "dtype=float16"),
        ({"weights": "other"}, "weights=", "weights="),
        ({"paths": "shapes"}, "paths=['shapes/*']", "paths=['shapes']"),
    ],
)
def test_another_job_in_the_folder_is_refused(tmp_path, embed, capsys, change, was, now):
    assert embed("shapes/*", out="s", shards=2) == 1
    before = contents(tmp_path / "s")
    capsys.readouterr()
    if "weights" in change:
        change = {"weights": write_weights(tmp_path, seed=1)}
    paths = change.pop("paths", "shapes/*")
    assert embed(paths, **{"out": "s", "shards": 2, **change}) == 1
    error = capsys.readouterr().err
    assert "s holds 2 shards of another job, with " + was in error
    assert f"where now {now}" in error
    assert error.strip().endswith("use the same, or name another --out")
    assert contents(tmp_path / "s") == before


def altered(content, **changes):
    """Returns a list of shapes or a shard about which something else is said."""
    table = pq.read_table(io.BytesIO(content))
    known = json.loads(table.schema.metadata[b"pcclust"])
    sink = io.BytesIO()
    about = {b"pcclust": json.dumps({**known, **changes}).encode()}
    pq.write_table(table.replace_schema_metadata(about), sink)
    return sink.getvalue()


def test_a_folder_that_another_version_began_is_refused(tmp_path, embed, capsys):
    assert embed("shapes/*", out="s", shards=2) == 1
    place = tmp_path / "s" / MANIFEST
    place.write_bytes(altered(place.read_bytes(), pcclust="0.0.1"))
    assert embed("shapes/*", out="s", shards=2) == 1
    assert (
        f"s was begun by pcclust 0.0.1 (schema 2), and this is {pcclust.__version__} (schema 2): "
        "use that version, or name another --out"
    ) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "0" * 64}, "another model"),
        ({"pcclust": "0.0.1"}, "another version of pcclust (0.0.1"),
        ({"plan": "0" * 64}, "another list of inputs"),
        ({"schema": 7}, "has schema 7 of pcclust"),
        ({"shard": 0}, "is shard 0 by its content"),
    ],
)
def test_a_shard_that_is_not_of_the_job_is_refused(tmp_path, embed, capsys, change, said):
    assert embed("shapes/*", out="s", shards=2) == 1
    place = tmp_path / "s" / shard_name(1, 2)
    place.write_bytes(altered(place.read_bytes(), **change))
    capsys.readouterr()
    assert embed("shapes/*", out="s", shards=2) == 1
    error = capsys.readouterr().err
    assert shard_name(1, 2) in error
    assert said in error


@pytest.mark.parametrize("change", ["gone", "longer", "touched"])
def test_a_file_that_has_changed_costs_its_shard_and_is_named(tmp_path, embed, capsys, change):
    assert embed("shapes/*", out="s", shards=3) == 1
    whole = contents(tmp_path / "s")
    for shard in (0, 1):
        (tmp_path / "s" / shard_name(shard, 3)).unlink()
    file = tmp_path / "shapes" / "a1.npy"
    state = file.stat()
    if change == "gone":
        file.rename(tmp_path / "away")
    elif change == "longer":
        file.write_bytes(file.read_bytes() + b"12")
    else:
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    capsys.readouterr()
    assert embed("shapes/*", out="s", shards=3) == 1
    said = {
        "gone": "has gone",
        "longer": f"has changed from {state.st_size} to {state.st_size + 2} bytes",
        "touched": "has been written again",
    }
    error = capsys.readouterr().err
    assert "1 shard could not be written:" in error
    assert (
        f"{shard_name(0, 3)}: shapes/a1.npy {said[change]} since s was begun: put it back as it "
        "was, or name another --out"
    ) in error
    assert sorted(contents(tmp_path / "s")) == [shard_name(1, 3), shard_name(2, 3)]
    if change == "gone":
        (tmp_path / "away").rename(file)
    else:
        file.write_bytes(file.read_bytes()[: state.st_size])
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert embed("shapes/*", out="s", shards=3) == 1
    assert contents(tmp_path / "s") == whole


def test_a_dataset_that_has_grown_is_refused(tmp_path, embed, capsys):
    data = tmp_path / "flat"
    data.mkdir()
    for at, cloud in enumerate(clouds(9)):
        np.save(data / f"{at}.npy", cloud)
    assert embed("flat", out="s", shards=2) == 0
    (tmp_path / "s" / shard_name(1, 2)).unlink()
    np.save(data / "00.npy", clouds(1)[0])
    assert embed("flat", out="s", shards=2) == 1
    assert "flat has 10 shapes, and had 9 when s was begun" in capsys.readouterr().err
    (data / "8.npy").unlink()
    assert embed("flat", out="s", shards=2) == 1
    assert "since s was begun: put it back" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--shards", "x"], "--shards x is neither a number of shards, as 400, nor a size"),
        (["--shards", "0"], "--shards 0 is neither"),
        (["--shards", "2", "--shard", "0/4"], "--shard 0/4 is no part of how many, as 17/400"),
        (["--shards", "2", "--shard", "5/4"], "they count from 1: --array=1-400"),
        (["--shard", "1/4"], "--shard is of --shards"),
        (["--engine", "ray"], "--engine is of --shards"),
        (["--shards", "2", "--gpus", "1"], "--address and --gpus are of --engine ray"),
        (["--shards", "2", "--out", "s.npz"], "--out s.npz: --shards writes a folder; name one"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path, embed, capsys, arguments, said):
    assert embed("shapes/*", *arguments, **({} if "--out" in arguments else {"out": "s"})) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_a_size_needs_shapes_of_one_size(embed, capsys):
    assert run("rri", "shapes", "--k", 4, "--out", "s", "--shards", "1MB") == 1
    assert "--shards 1MB needs --num-points" in capsys.readouterr().err
    assert not Path("s").exists()


def test_urls_and_paths_are_not_mixed(embed, capsys):
    assert embed("shapes/*", "memory://nowhere", out="s", shards=2) == 1
    assert "cannot be read together: name either" in capsys.readouterr().err
    assert embed("memory://nowhere/at/all", out="s", shards=2) == 1
    assert "memory://nowhere/at/all: no file there has a known format" in capsys.readouterr().err


@pytest.mark.parametrize("rows", [1, 3, 4096])
def test_a_worker_reads_the_rows_of_its_shard_alone(tmp_path, embed, rows, monkeypatch):
    monkeypatch.setattr(manifest_module, "ROWS_READ_AT_ONCE", rows)
    assert embed("shapes/*", out="s", shards=5) == 1
    found = manifest_module.read_manifest(Store("s"))
    pieces = [found.pieces(shard) for shard in range(found.shards)]
    assert [sum(piece.shapes for piece in each) for each in pieces] == [4, 4, 4, 4, 3]
    assert [(p.path, p.first, p.shapes) for each in pieces for p in each if "b.npy" in p.path] == [
        ("shapes/b.npy", 0, 1),
        ("shapes/b.npy", 1, 4),
        ("shapes/b.npy", 5, 4),
    ]


@pytest.mark.parametrize("granularity", [1, 7, 32])
@pytest.mark.parametrize("shards", [1, 2, 9, 1000])
def test_shards_are_nearly_equal_and_part_no_batch(granularity, shards):
    for total in (1, 31, 32, 33, 500):
        starts = boundaries(total, granularity, shards)
        sizes = np.diff(starts)
        assert (starts[0], starts[-1]) == (0, total)
        assert all(start % granularity == 0 for start in starts[:-1])
        assert sizes.min() >= 1
        assert sizes[:-1].max(initial=0) - sizes[:-1].min(initial=total) <= granularity
        assert len(sizes) == min(shards, -(-total // granularity))


def test_sizes_have_units():
    assert [parse_cut(text).size for text in ("1B", "2 kB", "3MB", "1GiB")] == [
        1, 2000, 3_000_000, 2**30,
    ]  # fmt: skip
    for wrong in ("", "-1", "1.5", "3XB", "MB", "0MB"):
        with pytest.raises(ValueError, match="is neither a number of shards"):
            parse_cut(wrong)
