"""Drawings of runs that cluster: confusion of clusters and classes, sizes over the epochs."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pcclust.cluster.contingency import contingency_table
from pcclust.report.figure import QUIET, RULE, inline_svg, new_figure, page_style
from pcclust.report.rotation_drawings import CELL
from pcclust.report.templates import Markup

Ints = NDArray[np.int64]
BANDS = ("#1f6f78", "#8fc1b5")  # in turn, so that neighbours can be told apart


def cluster_confusion(
    clusters: Ints, labels: Ints, class_names: Sequence[str], title: str
) -> Markup:
    """Draws which share of each cluster is of which class.

    Clusters are the columns, in the order of the class that most of each is of, so that a good
    clustering is a diagonal; a class spread over several is a row of several cells.

    Args:
        clusters: ``(N,)``.
        labels: ``(N,)``.
        class_names: of the labels.
        title: of the clustering.
    """
    table, classes, numbers = contingency_table(labels, clusters)
    order = np.lexsort((-table.max(axis=0), table.argmax(axis=0)))
    shares = table[:, order] / table[:, order].sum(axis=0)
    cells = np.zeros((*shares.shape, 4))
    cells[..., :3], cells[..., 3] = CELL, shares**0.6  # so that small shares show too
    with page_style():
        figure = new_figure(1.9 + 0.17 * max(len(numbers), 10), 1.1 + 0.17 * max(len(classes), 8))
        axes = figure.subplots()
        axes.imshow(cells, interpolation="nearest", aspect="auto")
        size = 7 if len(classes) > 20 else 9
        axes.set_yticks(range(len(classes)), [class_names[c] for c in classes], fontsize=size)
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.spines[:].set(visible=True, color=RULE)
        axes.set_xlabel(f"{len(numbers)} clusters", color=QUIET)
        return inline_svg(figure, f"Classes of the clusters of {title}")


def size_drawing(sizes: Ints, title: str) -> Markup:
    """Draws the sizes of all clusters after each epoch, one on the other, the largest below.

    Args:
        sizes: ``(E, K)`` with at least two epochs.
        title: of the run.
    """
    ordered = -np.sort(-sizes, axis=1)
    edges = np.cumsum(ordered, axis=1)
    epochs = np.arange(1, len(sizes) + 1)
    with page_style():
        figure = new_figure(6.4, 2.4)
        axes = figure.subplots()
        below = np.zeros(len(sizes))
        for number, above in enumerate(edges.T):
            axes.fill_between(epochs, below, above, color=BANDS[number % 2], linewidth=0)
            below = above
        axes.locator_params(axis="x", integer=True)
        axes.set(xlim=(1, len(sizes)), ylim=(0, edges[0, -1]), xlabel="epoch", ylabel="shapes")
        return inline_svg(figure, f"Sizes of the clusters of {title} over the epochs")
