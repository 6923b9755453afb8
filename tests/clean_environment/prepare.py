"""Reads every bundled file, from the package and from data/; writes the small data of the check."""

import runpy
from pathlib import Path

import h5py
import numpy as np
import torch

import pcclust
from pcclust.data import count_clouds, read_clouds
from pcclust.demo.shapes import BUNDLED

assert "_bundled" in BUNDLED.parts, f"{BUNDLED} is not in the package"
assert pcclust.info().native is not None, pcclust.info().native_reason
assert pcclust.info().native_reason == "built and loaded"

POINTS = 128
meshes = sorted(Path("data/meshes").iterdir())
for path in meshes:
    points = pcclust.read_points(path)
    assert points.shape == (1024, 3), path
    assert np.isfinite(points).all(), path
    installed = BUNDLED / path.relative_to("data")
    assert (pcclust.read_points(installed) == points).all(), installed
assert count_clouds(BUNDLED / "furniture.h5") == len(list(read_clouds("data/furniture.h5")))
for licence in (BUNDLED / "LICENSES").iterdir():
    assert licence.read_text(encoding="utf-8"), licence
print(len(meshes), "meshes")

with h5py.File("data/furniture.h5") as file:
    clouds = file["data"][:, :POINTS]
# In the layout of ModelNet; furniture in turn is said to be of as many classes.
for name, classes, shapes in (("small10", 4, 36), ("small40", 40, 120)):
    for row, cloud in enumerate(clouds[:shapes]):
        kind, number = f"class{row % classes}", row // classes
        folder = Path(name) / kind / ("test" if row >= shapes * 2 // 3 else "train")
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"OFF\n{POINTS} 0 0", *(f"{x} {y} {z}" for x, y, z in cloud)]
        (folder / f"{kind}_{number:04}.off").write_text("\n".join(lines))

# The weights that the README says somebody has of the model in mine.py.
if Path("mine.py").exists():
    torch.save(runpy.run_path("mine.py")["PointNet"]().state_dict(), "weights.pt")
