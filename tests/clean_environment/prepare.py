"""Reads every bundled file, from the package and from data/; writes the small data of the check.

Called in the folder of the check with the pages, whose models and weights it writes, too.
"""

import runpy
import sys
from pathlib import Path

import h5py
import numpy as np
import torch
from pages import models_of, weights_of

import pcclust
from pcclust.data import count_clouds, read_clouds
from pcclust.demo.page import SHOWN
from pcclust.demo.shapes import BUNDLED

assert "_bundled" in BUNDLED.parts, f"{BUNDLED} is not in the package"
assert pcclust.info().native is not None, pcclust.info().native_reason
assert pcclust.info().native_reason == "built and loaded"

POINTS = 1024
meshes = sorted(Path("data/meshes").iterdir())
assert meshes
for path in meshes:
    points = pcclust.read_points(path)
    assert points.shape == (1024, 3), path
    assert np.isfinite(points).all(), path
    installed = BUNDLED / path.relative_to("data")
    assert (pcclust.read_points(installed) == points).all(), installed
assert count_clouds(BUNDLED / "furniture.h5") == len(list(read_clouds("data/furniture.h5")))
for licence in (BUNDLED / "LICENSES").iterdir():
    assert licence.read_text(encoding="utf-8"), licence

# Of the bundled shapes a part, in the layout of data/.
Path("small_data/meshes").mkdir(parents=True)
for path in {*meshes[::15], Path("data") / SHOWN}:
    (Path("small_data/meshes") / path.name).symlink_to(path.resolve())
Path("small_data/CREDITS.md").symlink_to(Path("data/CREDITS.md").resolve())
with h5py.File("data/furniture.h5") as file, h5py.File("small_data/furniture.h5", "w") as small:
    small.attrs.update(file.attrs)
    for key, rows in file.items():
        per_shape = len(rows) == len(file["data"])
        small.create_dataset(key, data=rows[::15] if per_shape else rows[:], dtype=rows.dtype)
        small[key].attrs.update(rows.attrs)
    clouds = file["data"][:, :POINTS]
# In the layout of ShapeNetCore; of each class the last two are to test with.
listed = ["id,synsetId,subSynsetId,modelId,split"]
for number, path in enumerate(meshes[:24]):
    synset, split = ("02691156", "03001627")[number % 2], "test" if number >= 20 else "train"
    models = Path("small_shapenet") / synset / f"model{number}" / "models"
    models.mkdir(parents=True)
    (models / "model_normalized.obj").symlink_to(path.resolve())
    listed.append(f"{number},{synset},{synset},model{number},{split}")
Path("small_shapenet/all.csv").write_text("\n".join(listed))
# In the layout of ModelNet; furniture in turn is said to be of as many classes.
for name, classes, shapes in (("small10", 4, 36), ("small40", 40, 120)):
    for row, cloud in enumerate(clouds[:shapes]):
        kind, number = f"class{row % classes}", row // classes
        folder = Path(name) / kind / ("test" if row >= shapes * 2 // 3 else "train")
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"OFF\n{POINTS} 0 0", *(f"{x} {y} {z}" for x, y, z in cloud)]
        (folder / f"{kind}_{number:04}.off").write_text("\n".join(lines))

# What pages say somebody has: a model of one's own, and its weights.
for argument in sys.argv[1:]:
    page = Path(argument).read_text(encoding="utf-8")
    for file, code in models_of(page).items():
        Path(file).write_text(code)
    for file, name, weights in weights_of(page):
        torch.save(runpy.run_path(file)[name]().state_dict(), weights)
