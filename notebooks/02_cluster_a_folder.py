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
# # Cluster a folder
#
# At the end of this notebook you have described shapes by one vector each, chosen a number of clusters without
# any label, made the clusters and looked at them.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import pcclust
from pcclust.cluster import number_of_clusters
from pcclust.cluster.metrics import clustering_accuracy, normalized_mutual_information

data = Path("../data")

# %% [markdown]
# ## The shapes
# A file, a folder of meshes, or a dataset's name: all become a `PointDataset`. These 333 pieces of furniture and
# other things come with pcclust.

# %%
shapes = pcclust.data.open_dataset(data / "furniture.h5", num_points=512)
shapes

# %% [markdown]
# ## One vector for each
# By an encoder that has learned from ModelNet40 without a label, and whose features no rotation changes. It takes
# shapes centred and in the unit sphere.

# %%
from pcclust.data.transforms import UnitSphere

points = UnitSphere()(shapes.points)
features = pcclust.embed("clusternet-contrastnet-modelnet40", points)
features.shape

# %% [markdown]
# ## How many clusters?
# Three criteria, none of which knows a label. They reward clusters that are far apart; look at the curve, not at
# one number.

# %%
found = number_of_clusters(features, range(2, 26), repeats=3)
numbers = [point.n_clusters for point in found.curve]
figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
axes.plot(numbers, [point.silhouette for point in found.curve], label="silhouette")
axes.plot(
    numbers, [point.prediction_strength for point in found.curve], label="prediction strength"
)
axes.set_xlabel("clusters")
axes.legend()
axes.grid(alpha=0.3)
print(f"{found.best} by {found.criterion}")

# %% [markdown]
# ## The clusters

# %%
kmeans = pcclust.KMeans(n_clusters=15, random_state=0).fit(features)
sizes = np.bincount(kmeans.labels_, minlength=15)
print("sizes:", sizes.tolist())

# %%
chosen = [
    np.flatnonzero(np.asarray(kmeans.labels_) == number)[:6] for number in np.argsort(-sizes)[:8]
]
figure = plt.figure(figsize=(9, 11), layout="constrained")
for row, members in enumerate(chosen):
    for column, member in enumerate(members):
        axes = figure.add_subplot(len(chosen), 6, 6 * row + column + 1, projection="3d")
        x, y, z = np.asarray(points[member]).T
        axes.scatter(x, -z, y, c=y, s=1)
        axes.set_axis_off()
        axes.set_aspect("equal")

# %% [markdown]
# ## Were they found?
# These shapes do have labels, which nothing above has read.

# %%
labels = shapes.labels
print(f"accuracy {clustering_accuracy(labels, kmeans.labels_):.3f}")
print(f"NMI {normalized_mutual_information(labels, kmeans.labels_):.3f}")

# %% [markdown]
# ## The report
# The same as one page with a gallery to turn and a map of all shapes is
# `pcclust cluster data/furniture.h5 --weights clusternet-contrastnet-modelnet40 --clusters 15`; in Python, the
# numbers over several seeds and methods:

# %%
pcclust.evaluate.clustering(features, labels, n_clusters=15, methods=("kmeans", "ward"), seeds=3)
