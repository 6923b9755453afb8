"""Draws docs/clusters.png: clusters of the bundled shapes, each turned as it was described."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

import pcclust
from pcclust.data.transforms import RotateSO3, UnitSphere

ROWS, COLUMNS, CLUSTERS = 5, 9, 15
HERE = Path(__file__).parent


def main() -> None:
    """Writes the picture."""
    shapes = pcclust.data.open_dataset(HERE.parent / "data/furniture.h5", num_points=1024)
    points = UnitSphere()(RotateSO3()(shapes.points, torch.Generator().manual_seed(0)))
    features = pcclust.embed("clusternet-contrastnet-modelnet40", points)
    kmeans = pcclust.KMeans(CLUSTERS, random_state=0).fit(features)
    labels = np.asarray(kmeans.labels_)
    # The clusters most unlike each other, and of each its most typical shapes: no label is read.
    large = [k for k in range(CLUSTERS) if (labels == k).sum() >= COLUMNS]
    centers = kmeans.cluster_centers_[large]
    best = [large[row] for row in pcclust.farthest_point_sample(centers, ROWS).tolist()]
    away = torch.cdist(features, kmeans.cluster_centers_).numpy()
    figure, grid = plt.subplots(ROWS, COLUMNS, figsize=(COLUMNS, ROWS), dpi=120)
    figure.subplots_adjust(0, 0, 1, 1, 0, 0)
    for row, number in enumerate(best):
        members = np.flatnonzero(labels == number)
        members = members[np.argsort(away[members, number])][:COLUMNS]
        for axes, member in zip(grid[row], members, strict=True):
            _draw(axes, points[member].numpy(), np.array(plt.get_cmap("tab10")(row)[:3]))
    figure.savefig(HERE / "clusters.png", metadata={"Software": None})


def _draw(axes: Axes, cloud: NDArray[np.float32], colour: NDArray[np.float64]) -> None:
    """Draws a cloud from the front, what is farther away paler."""
    cloud = cloud[np.argsort(cloud[:, 1])[::-1]]
    depth = cloud[:, 1:2] - cloud[:, 1].min()
    away = 0.75 * depth / depth.max()
    paler = np.minimum(colour + (1 - colour) * away, 1)
    axes.scatter(cloud[:, 0], cloud[:, 2], c=paler, s=2, linewidths=0)
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal")
    axes.set_axis_off()


if __name__ == "__main__":
    main()
