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
# # RRI of any cloud
#
# At the end of this notebook you know what the four numbers of RRI are, have computed them for a mesh, a scan
# of a million points and objects of other libraries, have seen that no rotation changes them, and have rebuilt
# a cloud from them.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import pcclust
from pcclust.data.rotations import random_rotations

data = Path("../data")

# %% [markdown]
# ## A mesh
# `read_points` samples a mesh evenly by area; a file of points gives its points.

# %%
points = pcclust.read_points(data / "meshes" / "chair2.obj", num_points=1024)
features = pcclust.rri(points, k=20)
points.shape, features.shape, features.dtype

# %% [markdown]
# Each point is described by four numbers for each of its 20 nearest neighbours: its distance r_i from the
# centroid, the neighbour's distance r_ik, the angle θ_ik between the two, and the gap φ_ik to the next neighbour
# about the axis through the point.
#
# ## Turned
# The same shape, turned at random. Colours are means over the neighbours: they stay where they are on the shape.

# %%
turn = random_rotations(1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)[
    0
].numpy()
turned = points @ turn.T.astype(np.float32)
again = pcclust.rri(turned, k=20)

names = ["r_i", "r_ik", "θ_ik", "φ_ik"]
figure = plt.figure(figsize=(12, 6), layout="constrained")
for row, (cloud, values) in enumerate([(points, features), (turned, again)]):
    for column, name in enumerate(names):
        axes = figure.add_subplot(2, 4, 4 * row + column + 1, projection="3d")
        colour = values[:, :, column].mean(axis=1) if column < 3 else values[:, :, 3].max(axis=1)
        axes.scatter(*cloud[:, [0, 2, 1]].T, c=colour, s=3)
        axes.set_axis_off()
        axes.set_aspect("equal")
        axes.set_title(name if row == 0 else "turned")

# %%
change = np.abs(again - features)
size = np.linalg.norm(points - points.mean(axis=0), axis=1).max()
print(f"largest change of r_i: {change[..., 0].max() / size:.1e} of the size")
print(
    f"largest change of θ_ik: {change[..., 2].max():.1e} rad, of φ_ik: {change[..., 3].max():.1e} rad"
)

# %% [markdown]
# That is the rounding of float32. (Where two neighbours are equally far, rounding may also exchange them; it is
# rare.) In float64:

# %%
exact = points.astype(np.float64)
difference = pcclust.rri(exact @ turn.T, k=20) - pcclust.rri(exact, k=20)
print(f"largest change in float64: {np.abs(difference).max():.1e}")

# %% [markdown]
# ## A scan of a million points
# Nothing of size N × N exists; a million points take about a second.

# %%
angles = torch.rand(1_000_000, generator=torch.Generator().manual_seed(0)) * 2 * np.pi
heights = torch.rand(1_000_000, generator=torch.Generator().manual_seed(1))
scan = torch.stack([(1 + 0.1 * (9 * angles).sin()) * angles.cos(), angles.sin(), heights], dim=1)
pcclust.rri(scan, k=16).shape

# %% [markdown]
# ## Batches, and objects of other libraries
# A batch is `(B, N, 3)`; clouds that differ in size are padded with `lengths=` or packed with `offsets=` or PyG's
# `batch=`. Clouds of trimesh and Open3D go in as they are.

# %%
import trimesh

cloud = trimesh.PointCloud(points)
packed = torch.cat([torch.from_numpy(points), torch.from_numpy(points[:500])])
batch = torch.tensor([0] * 1024 + [1] * 500)
pcclust.rri(cloud, k=20).shape, pcclust.rri(packed, k=20, batch=batch).shape

# %% [markdown]
# What cannot be described rightly is refused, with the value and the place:

# %%
broken = points.copy()
broken[7, 1] = np.nan
try:
    pcclust.rri(broken, k=20)
except ValueError as error:
    print(error)

# %% [markdown]
# ## And back
# With the neighbours and their order about the axis, the features are a lossless code: the cloud comes back up to
# one rotation.

# %%
code = pcclust.rri_encode(exact, k=20)
rebuilt = pcclust.rri_decode(code)
pairs = np.random.default_rng(0).integers(len(exact), size=(2, 10_000))
before = np.linalg.norm(exact[pairs[0]] - exact[pairs[1]], axis=1)
after = np.linalg.norm(rebuilt[pairs[0]] - rebuilt[pairs[1]], axis=1)
print(f"largest difference of 10,000 distances: {np.abs(before - after).max():.1e}")
