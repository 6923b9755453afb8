"""A small demo: few shapes, small weights, few rotations."""

import shutil

import h5py
import numpy as np
import torch

from pcclust.demo import clusters, page, report
from pcclust.demo.shapes import BUNDLED
from pcclust.nn import ClusterNet, weights_source
from pcclust.nn.weights import save_weights


def write_few(folder):
    """Writes a data folder of nine clouds of three kinds and two meshes, with all credits."""
    (folder / "meshes").mkdir()
    for name in ("meshes/horse2.obj", "meshes/chair2.obj", "CREDITS.md"):
        shutil.copy(BUNDLED / name, folder / name)
    with (
        h5py.File(BUNDLED / "furniture.h5") as all_,
        h5py.File(folder / "furniture.h5", "w") as few_,
    ):
        labels = all_["label"][:]
        rows = sorted(row for label in (0, 4, 12) for row in np.flatnonzero(labels == label)[:3])
        for name in ("data", "name", "label"):
            few_[name] = all_[name][rows]
        few_.attrs.update(all_.attrs)
    return folder


def ship_small_weights(folder, monkeypatch):
    """Lets weights of a small ClusterNet come with pcclust under the demo's name."""
    torch.manual_seed(0)
    settings = {
        "num_clusters": [16, 4],
        "neighbors": [8, 4, 3],
        "channels": [[8], [8], [8]],
        "embedding": 8,
    }
    card = {"model": "clusternet", "model_kwargs": settings, "class_names": []}
    card["data"] = {"dataset": "dice", "shapes": 1234}
    path = folder / f"{clusters.WEIGHTS}.safetensors"
    save_weights(path, ClusterNet(**settings), card, dtype=torch.float16)
    monkeypatch.setattr(weights_source, "SHIPPED", folder)


def turn_seldom(monkeypatch):
    """Lets the demo turn all shapes of `write_few`, but seldom, and show fewer points."""
    monkeypatch.setattr(report, "STRIDE_WITH_KERNEL", 1)
    monkeypatch.setattr(report, "STRIDE_WITHOUT_KERNEL", 1)
    monkeypatch.setattr(report, "ROTATIONS", 2)
    monkeypatch.setattr(page, "SHOWN_POINTS", 500)
