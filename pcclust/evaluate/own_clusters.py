"""The clusters that a run of a deep-clustering method gives features."""

import numpy as np
import torch
from numpy.typing import NDArray

from pcclust.nn.cluster_head import ClusterHead


class OwnClusters:
    """Gives features the clusters of the run that made them.

    Args:
        head: maps ``(N, C)`` to scores ``(N, K)``.
    """

    def __init__(self, head: ClusterHead) -> None:
        self.head = head.eval()
        self.num_clusters = head.num_clusters

    @torch.no_grad()
    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Returns ``(N,)`` clusters.

        Raises:
            ValueError: features of another width than those the run was trained on.
        """
        if features.shape[1] != self.head.width:
            raise ValueError(
                f"the run clusters features of {self.head.width} channels, and these have "
                f"{features.shape[1]}: were they made by another encoder?"
            )
        scores = self.head(torch.from_numpy(features).float())
        clusters: NDArray[np.int64] = scores.argmax(dim=1).numpy()
        return clusters
