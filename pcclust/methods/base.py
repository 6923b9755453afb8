"""What deep-clustering methods have in common: each adds heads and a loss of its own."""

import warnings
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn
from tyro.conf import arg

from pcclust.cluster.metrics import normalized_mutual_information, size_perplexity
from pcclust.cluster.pseudo_labels import COLLAPSED, ClusterCollapseWarning
from pcclust.methods.pretext import SILENT, Pretext, PretextConfig, Views
from pcclust.nn import Clusterer
from pcclust.nn.cluster_head import ClusterHead

__all__ = ["SILENT", "DeepClustering", "DeepClusteringConfig", "Views"]

NOT_YET = -1


@dataclass(frozen=True, kw_only=True)
class DeepClusteringConfig(PretextConfig):
    """Into how many clusters shapes are put.

    Attributes:
        num_clusters: how many clusters.
    """

    num_clusters: Annotated[int, arg(name="clusters")]

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.num_clusters, int) and self.num_clusters < 2:
            raise ValueError(f"clusters={self.num_clusters} must be at least 2")


class DeepClustering(Pretext):
    """A `Pretext` of which one head says to which cluster shapes belong, measured without labels.

    A method is a subclass: `heads` and `loss` are all that it must have.

    Args:
        config: the settings.
        shapes: what `pcclust.methods.stages.open_shapes` returns; without labels.
        previous: what the stages before have left.

    Attributes:
        collapse_advice: what to change when shapes gather in few clusters.

    Raises:
        ValueError: settings that do not exist or do not fit the data, more clusters than shapes.
    """

    config: DeepClusteringConfig
    collapse_advice: ClassVar[str] = (
        "ask for fewer --clusters, begin with trained weights (--init), or lower --learning-rate"
    )
    _warned = False

    @abstractmethod
    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns the heads by name; ``cluster`` is a `ClusterHead`, which is saved.

        Args:
            width: channels of the features.
        """

    def assign(self, features: Tensor) -> Tensor:
        """Returns how likely shapes belong to each cluster, ``(B, K)``, by features ``(B, C)``."""
        scores: Tensor = self.model.heads["cluster"](features)
        return scores.float().softmax(dim=1)

    @torch.no_grad()
    def assignments(self) -> Tensor:
        """Returns how likely each shape belongs to each cluster, ``(N, K)``, on the CPU."""
        device = next(self.model.buffers()).device
        training = self.model.training
        self.model.eval()
        parts = [self.assign(part.to(device)).cpu() for part in torch.split(self.features(), 1024)]
        self.model.train(training)
        return torch.cat(parts)

    def evaluate(self) -> dict[str, float]:
        """Returns how even, how sure and how settled the clusters are; no label is read.

        ``perplexity`` of the sizes (the number of equal clusters that are as even), ``empty``
        clusters, ``confidence`` (mean of the largest probability of a shape), and ``nmi_before``
        with the clusters of the epoch before, from the second on.

        Warns:
            ClusterCollapseWarning: few clusters hold most shapes; once a run.
        """
        probabilities = self.assignments()
        confidence, labels = probabilities.max(dim=1)
        assigned = self._buffer("assigned")
        before = assigned.cpu()
        measured = {
            "perplexity": size_perplexity(labels),
            "empty": float(probabilities.shape[1] - len(torch.unique(labels))),
            "confidence": float(confidence.double().mean()),
        }
        if int(before[0]) != NOT_YET:
            measured["nmi_before"] = normalized_mutual_information(before, labels)
        assigned.copy_(labels)
        self._warn_of_collapse(measured, probabilities.shape[1])
        return measured

    def details(self) -> dict[str, Any]:
        """Returns how many shapes each cluster has, once that is known."""
        assigned = self._buffer("assigned")
        if int(assigned[0]) == NOT_YET:
            return {}
        return {"sizes": assigned.bincount(minlength=self.config.num_clusters).tolist()}

    def saved(self) -> tuple[nn.Module, dict[str, Any]]:
        """Returns the `Clusterer` of encoder and cluster head, and its card."""
        head = self._saved_head()
        clusterer = Clusterer(self._saved_encoder().network, head)
        return clusterer, self._card(clusterer) | clusterer.card()

    def _saved_head(self) -> ClusterHead:
        """Returns what scores clusters by the features of the saved encoder."""
        head = self.model.heads["cluster"]
        assert isinstance(head, ClusterHead)
        return head

    def _learned(self, width: int) -> dict[str, Tensor]:
        return {"assigned": torch.full((len(self.shapes),), NOT_YET)} | self.buffers(width)

    def _aim(self) -> str:
        return f", {self.config.num_clusters} clusters"

    def _check(self) -> None:
        if self.config.num_clusters > len(self.shapes):
            raise ValueError(
                f"clusters={self.config.num_clusters} exceeds the {len(self.shapes):,} shapes of "
                f"{self.config.dataset}: give fewer --clusters"
            )

    def _warn_of_collapse(self, measured: dict[str, float], clusters: int) -> None:
        even = (measured["perplexity"] - 1) / (clusters - 1)
        if even >= COLLAPSED or self._warned:
            return
        self._warned = True
        warnings.warn(
            f"the {clusters} clusters have collapsed: they are as uneven as "
            f"{measured['perplexity']:.1f} of equal size would be, {measured['empty']:.0f} are "
            f"empty. If that stays so over the next epochs, {self.collapse_advice}",
            ClusterCollapseWarning,
            stacklevel=2,
        )
