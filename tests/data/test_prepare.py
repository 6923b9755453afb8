import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from pcclust.data import PointDataset, PointFolder, open_dataset
from pcclust.data import prepare as module
from pcclust.data.modelnet import MODELNET10
from pcclust.data.prepare import prepare
from tests.data.dataset_layouts import CUBE_OBJ, clouds, modelnet_off

SHAPES = 150


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "in"
    for number in range(SHAPES):
        path = root / ("chair" if number % 2 else "table") / f"{number:03d}.obj"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CUBE_OBJ.replace("v 1", f"v {1 + number}"))
    return root


def shapes_of(path):
    dataset = open_dataset(path)
    return dataset.names, dataset.points, dataset.labels


def test_a_folder_becomes_one_file(folder, tmp_path):
    told = []
    source = PointFolder(folder, num_points=32, up_axis="y")
    made = prepare(source, tmp_path / "out.h5", workers=0, progress=lambda *now: told.append(now))
    assert (made.count, made.failures) == (SHAPES, [])
    result = open_dataset(tmp_path / "out.h5")
    assert (result.names, result.class_names) == (source.names, source.class_names)
    assert (result.up_axis, result.num_points) == ("y", 32)
    assert torch.equal(result.labels, source.labels)
    assert float(result.points.mean(dim=1).abs().max()) < 1e-5
    assert torch.allclose(result.points.norm(dim=2).amax(dim=1), torch.ones(SHAPES))
    assert told == [(64, SHAPES), (128, SHAPES), (SHAPES, SHAPES)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out.h5"]


def test_raw_keeps_position_and_size(folder, tmp_path):
    source = PointFolder(folder, num_points=32)
    prepare(source, tmp_path / "out.h5", workers=0, normalize=False)
    assert torch.equal(open_dataset(tmp_path / "out.h5").points, source.points)


def test_processes_change_no_bit(folder, tmp_path):
    source = PointFolder(folder, num_points=32)
    for workers in (0, 1):
        prepare(source, tmp_path / f"{workers}.h5", workers=workers)
    assert torch.equal(shapes_of(tmp_path / "0.h5")[1], shapes_of(tmp_path / "1.h5")[1])


def test_bad_files_are_listed_and_left_out(folder, tmp_path):
    (folder / "chair" / "bad.obj").write_text("v 0 0 nonsense\nf 1 2 3\n")
    (folder / "chair" / "empty.obj").touch()
    (folder / "table" / "truncated.ply").write_bytes(b"ply\nformat binary_little_endian 1.0\n")
    np.save(folder / "table" / "small.npy", clouds(1, 10)[0])
    (folder / "chair" / "lost.off").symlink_to("nowhere.off")
    made = prepare(PointFolder(folder, num_points=32), tmp_path / "out.h5", workers=0)
    assert made.count == SHAPES
    chairs = ["chair/bad.obj", "chair/empty.obj", "chair/lost.off"]
    names = [*chairs, "table/small.npy", "table/truncated.ply"]
    assert [failure.name for failure in made.failures] == names
    for failure in made.failures:
        assert failure.name in failure.reason
    assert "has 10 points, num_points=32" in made.failures[3].reason
    labels = open_dataset(tmp_path / "out.h5").counts()
    assert labels == {"chair": SHAPES // 2, "table": SHAPES // 2}


def test_nothing_readable(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.obj").write_text("nothing")
    with pytest.raises(ValueError, match=r"none of 1 shapes could be read; first: .*a.obj"):
        prepare(PointFolder(tmp_path / "in"), tmp_path / "out.h5", workers=0)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_interrupted_run_goes_on(folder, tmp_path):
    source = PointFolder(folder, num_points=32)
    prepare(source, tmp_path / "whole.h5", workers=0)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "out.h5", workers=0, progress=interrupt)
    assert not (tmp_path / "out.h5").exists()
    first = tmp_path / "out.h5.partial" / "000000.npz"
    written = first.stat().st_mtime_ns
    told = []
    with pytest.raises(ValueError, match="continue it with --resume"):
        prepare(source, tmp_path / "out.h5", workers=0)
    goes_on = {"resume": True, "workers": 0}
    prepare(source, tmp_path / "out.h5", **goes_on, progress=lambda *now: told.append(now[0]))
    assert told == [128, SHAPES], "the first block is not read again"
    assert written
    assert torch.equal(shapes_of(tmp_path / "out.h5")[1], shapes_of(tmp_path / "whole.h5")[1])


def test_another_plan_does_not_go_on(folder, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    source = PointFolder(folder, num_points=32)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "out.h5", workers=0, progress=interrupt)
    changes = (
        (PointFolder(folder, num_points=16), True),
        (PointFolder(folder, num_points=32, seed=1), True),
        (source, False),
        (source.subset(range(100)), True),
    )
    for other, normalize in changes:
        with pytest.raises(ValueError, match="was begun from other files or settings"):
            prepare(other, tmp_path / "out.h5", resume=True, workers=0, normalize=normalize)
    os.utime(folder / "chair" / "001.obj", (1, 1))
    with pytest.raises(ValueError, match="was begun from other files or settings"):
        prepare(source, tmp_path / "out.h5", resume=True, workers=0)


@pytest.mark.parametrize("when", ["block", "file"])
def test_full_disk_loses_nothing(folder, tmp_path, monkeypatch, when):
    source = PointFolder(folder, num_points=32)
    before = b"an older file"
    (tmp_path / "out.h5").write_bytes(before)
    saved = []

    def full_save(file, **arrays):
        if len(saved) == 2:
            file.write(b"half a block")
            raise OSError(errno.ENOSPC, "No space left on device")
        saved.append(arrays)
        np.savez_compressed(file, **arrays)

    def full_write(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if when == "block":
            patch.setattr(module.np, "savez", full_save)
        else:
            patch.setattr(module, "write_hdf5", full_write)
        with pytest.raises(OSError, match=r"No space left.*kept in .*out.h5.partial: make room"):
            prepare(source, tmp_path / "out.h5", workers=0)
    assert (tmp_path / "out.h5").read_bytes() == before
    kept = len(list((tmp_path / "out.h5.partial").glob("*.npz")))
    assert kept == (2 if when == "block" else 3)
    prepare(source, tmp_path / "out.h5", resume=True, workers=0)
    assert len(open_dataset(tmp_path / "out.h5")) == SHAPES


LIMITED = """
import resource, sys
from pathlib import Path
from pcclust.data import PointFolder
from pcclust.data.prepare import prepare
for limit in sys.argv[3:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), -1))
    try:
        prepare(PointFolder(sys.argv[1], num_points=32), Path(sys.argv[2]), resume=True, workers=0)
    except OSError as error:
        print(error, len(list(Path(sys.argv[2] + ".partial").glob("*.npz"))), "blocks")
"""


def run_limited(folder, out, *limits):
    command = [sys.executable, "-c", LIMITED, str(folder), str(out), *limits]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_real_limit_on_file_size(folder, tmp_path):
    """The kernel refuses to write on: first within a block, then within the final file."""
    out = tmp_path / "out.h5"
    told = run_limited(folder, out, "4000", "40000").communicate()[0]
    in_a_block, in_the_file = told.splitlines()
    assert "could not be completed" in in_a_block
    assert in_a_block.endswith(" 0 blocks")
    assert "could not be completed" in in_the_file
    assert in_the_file.endswith(" 3 blocks")
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out.h5.partial"}
    prepare(PointFolder(folder, num_points=32), out, resume=True, workers=0)
    assert len(open_dataset(out)) == SHAPES


def test_a_killed_run_goes_on(folder, tmp_path):
    out = tmp_path / "out.h5"
    with run_limited(folder, out, "-1") as run:
        first = tmp_path / "out.h5.partial" / "000000.npz"
        while not first.exists() and run.poll() is None:
            time.sleep(0.005)
        run.kill()
    prepare(PointFolder(folder, num_points=32), out, resume=True, workers=0)
    assert len(open_dataset(out)) == SHAPES
    assert not (tmp_path / "out.h5.partial").exists()


def test_any_dataset_can_be_prepared(tmp_path):
    modelnet_off(tmp_path / "off", MODELNET10)
    made = prepare(
        open_dataset(tmp_path / "off", "test", num_points=16), tmp_path / "a.h5", workers=0
    )
    assert made.count == 20
    again = prepare(open_dataset(tmp_path / "a.h5").select_classes(["sofa"]), tmp_path / "b.h5")
    assert (again.count, open_dataset(tmp_path / "b.h5").class_names) == (2, ("sofa",))
    bad = torch.rand(3, 5, 3)
    bad[1, 2, 0] = torch.nan
    made = prepare(PointDataset(bad), tmp_path / "c.h5")
    assert made.count == 2
    assert made.failures[0].reason.startswith("shape 1, point 2 is not finite: [nan, ")


def test_wrong_arguments(folder, tmp_path):
    with pytest.raises(ValueError, match="workers=-1 must not be negative"):
        prepare(PointFolder(folder), tmp_path / "out.h5", workers=-1)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        prepare(PointFolder(folder), tmp_path / "nowhere" / "out.h5")


@pytest.mark.slow
def test_all_furniture_of_debian(tmp_path):
    """The 820 OBJ models of sweethome3d-furniture, as the package has them."""
    if shutil.which("apt-get") is None:
        pytest.skip("needs apt-get")
    subprocess.run(["apt-get", "update"], check=True, capture_output=True)
    get = ["apt-get", "download", "sweethome3d-furniture"]
    subprocess.run(get, check=True, cwd=tmp_path, capture_output=True)
    (package,) = tmp_path.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path / "deb")], check=True)
    for archive in (tmp_path / "deb").rglob("*.sh3f"):
        shutil.unpack_archive(archive, tmp_path / "models" / archive.stem, "zip")
    source = PointFolder(tmp_path / "models", suffixes=[".obj"], up_axis="y")
    made = prepare(source, tmp_path / "furniture.h5")
    sys.stdout.write(f"{len(source)} models, {made.count} prepared\n")
    sys.stdout.write(json.dumps([list(failure) for failure in made.failures], indent=1))
    assert len(source) == 820
    assert made.count + len(made.failures) == 820
    assert made.count >= 810, "all but the odd broken model are read"
    result = open_dataset(tmp_path / "furniture.h5")
    assert bool(torch.isfinite(result.points).all())
    assert len(set(result.names)) == made.count
    assert Path(made.path).stat().st_size < 820 * 1024 * 3 * 4
