# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: -all
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Match and rebuild
#
# At the end of this notebook you have found corresponding points of two scans by their RRI, the rotation between
# the scans from those, and have rebuilt a cloud from its features alone.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import pcclust
from pcclust.data.rotations import random_rotations

data = Path("../data")

# %% [markdown]
# ## Two scans of one thing
# They sample the same surface at other points; the second is turned, and has noise of a thousandth of the size.

# %%
rng = np.random.default_rng(0)
mesh = data / "meshes" / "horse2.obj"
points, second = (
    pcclust.read_points(mesh, num_points=4096, seed=seed, dtype=np.float64) for seed in (0, 1)
)
points -= points.mean(axis=0)
size = np.linalg.norm(points, axis=1).max()
rotation = random_rotations(1, generator=torch.Generator().manual_seed(5), dtype=torch.float64)[
    0
].numpy()
other = second @ rotation.T + rng.normal(scale=1e-3 * size, size=second.shape)
other -= other.mean(axis=0)

# %% [markdown]
# ## Correspondences
# The features of a point are sorted by neighbours; which of them is the fifth nearest is a matter of noise. So
# points are compared by what does not depend on it: quantiles of each number over the neighbours, at two scales.


# %%
def described(cloud):
    columns = []
    for k in (64, 512):
        r, reach, angle, _ = np.moveaxis(pcclust.rri(cloud / size, k), 2, 0)
        columns += [
            r[:, :1],
            *(np.quantile(v, [0.1, 0.3, 0.5, 0.7, 0.9], axis=1).T for v in (reach, angle)),
        ]
    return np.concatenate(columns, axis=1)


a, b = described(points), described(other)
scale = a.std(axis=0)
near = pcclust.knn(torch.from_numpy(b / scale), 2, queries=torch.from_numpy(a / scale))
match = near.indices[:, 0].numpy()
sure = (near.distances[:, 0] < 0.64 * near.distances[:, 1]).numpy()
right = np.linalg.norm(points @ rotation.T - other[match], axis=1) < 0.05 * size
print(
    f"{sure.sum()} of {len(points)} points have a match that stands out; {right[sure].mean():.0%} of these are right"
)

# %% [markdown]
# ## The pose
# The rotation that brings matched points together (Kabsch), found from triples so that wrong matches have no say.


# %%
def kabsch(p, q):
    u, _, vt = np.linalg.svd(p.T @ q)
    flip = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    return (u @ flip @ vt).T


rows = np.flatnonzero(sure)
best, votes = np.eye(3), -1
for _ in range(500):
    triple = rng.choice(rows, 3, replace=False)
    guess = kabsch(points[triple], other[match[triple]])
    agree = np.linalg.norm(points[rows] @ guess.T - other[match[rows]], axis=1) < 0.05 * size
    if agree.sum() > votes:
        best, votes = kabsch(points[rows[agree]], other[match[rows[agree]]]), int(agree.sum())
angle = np.degrees(np.arccos(np.clip((np.trace(best.T @ rotation) - 1) / 2, -1, 1)))
print(f"the rotation is found to {angle:.2f}°, by {votes} points")

# %%
figure = plt.figure(figsize=(11, 4), layout="constrained")
for number, (title, cloud) in enumerate(
    [("first scan", points), ("second scan", other), ("turned back", other @ best)]
):
    axes = figure.add_subplot(1, 3, number + 1, projection="3d")
    axes.scatter(*cloud[:, [0, 2, 1]].T, s=1, c=np.linalg.norm(cloud, axis=1))
    axes.set_title(title)
    axes.set_axis_off()
    axes.set_aspect("equal")

# %% [markdown]
# ## Rebuilt
# `rri_decode` needs nothing but the code: features, neighbours and their order about the axis.

# %%
code = pcclust.rri_encode(points, k=24)
rebuilt = pcclust.rri_decode(code)
turn = kabsch(rebuilt, points)
print(
    f"after one rotation, no point is off by more than {np.abs(rebuilt @ turn.T - points).max() / size:.0e} of the size"
)
