"""Files cut short or with random bytes: finite points or a ValueError, and no crash."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
import trimesh

from pcclust.data import read_points
from tests.data.formats.pcd_files import pcd


def sample_files(folder):
    """One small file of every format whose library is there."""
    mesh = trimesh.creation.icosphere(subdivisions=1)
    for suffix in ("off", "obj", "ply", "stl", "glb"):
        mesh.export(folder / f"a.{suffix}")
    points = np.asarray(mesh.vertices)
    np.savetxt(folder / "a.xyz", points)
    np.savetxt(folder / "a.csv", points, delimiter=",", header="x,y,z", comments="")
    np.save(folder / "a.npy", points)
    np.savez(folder / "a.npz", points=points)
    with h5py.File(folder / "a.h5", "w") as file:
        file["points"] = points
    rows = np.zeros(42, [(axis, "<f8") for axis in "xyz"])
    for axis, column in zip("xyz", points.T, strict=True):
        rows[axis] = column
    for data in ("ascii", "binary", "binary_compressed"):
        (folder / f"{data}.pcd").write_bytes(pcd(rows, data))
    return sorted(folder.iterdir())


def test_damaged_bytes_never_do_worse_than_a_valueerror(tmp_path):
    """Cuts and random bytes give finite points or a ValueError with the file's name, no more."""
    generator = np.random.default_rng(0)
    for path in sample_files(tmp_path):
        whole = path.read_bytes()
        for trial in range(24):
            damaged = bytearray(whole)
            if trial < 8:
                del damaged[len(whole) * trial // 8 :]
            else:
                span = len(damaged) if trial % 2 else min(len(damaged), 200)
                for place in generator.integers(span, size=8):
                    damaged[place] = generator.integers(256)
            path.write_bytes(damaged)
            try:
                points = read_points(path)
            except ValueError as error:
                assert str(error).startswith(str(path)), error  # noqa: PT017 (both are right)
            else:
                assert points.ndim == 2
                assert points.shape[1] == 3
                assert np.isfinite(points).all()


DAMAGE_SCANS = """
import sys, numpy as np, pathlib
from pcclust.data import read_points
generator = np.random.default_rng(0)
for name in sys.argv[1:]:
    path = pathlib.Path(name)
    whole = path.read_bytes()
    for trial in range(40):
        damaged = bytearray(whole)
        if trial < 8:
            del damaged[len(whole) * trial // 8 :]
        for place in generator.integers(len(whole) if trial % 2 else 300, size=8):
            if trial >= 8:
                damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            assert np.isfinite(read_points(path)).all()
        except ValueError as error:
            assert str(path) in str(error)
print("survived")
"""


def test_damaged_scans_do_not_crash_the_interpreter(tmp_path):
    laspy = pytest.importorskip("laspy")
    points = np.random.default_rng(0).normal(size=(200, 3))
    scan = laspy.create(point_format=0, file_version="1.2")
    scan.header.scales = [1e-4] * 3
    scan.x, scan.y, scan.z = points.T
    scan.write(tmp_path / "a.las")
    scan.write(tmp_path / "a.laz")
    files = sorted(map(str, tmp_path.iterdir()))
    command = [sys.executable, "-c", DAMAGE_SCANS, *files]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout.strip().endswith("survived"), result.stderr[-2000:]
