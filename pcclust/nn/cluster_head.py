"""What clusters shapes by their features, under a name that saved weights know."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

CLUSTER_HEADS: dict[str, "type[ClusterHead]"] = {}
Head = TypeVar("Head", bound="ClusterHead")


class ClusterHead(nn.Module):
    """Scores clusters; the softmax of the scores is how likely a shape belongs to each.

    Subclasses are registered by `register_cluster_head`, and give ``model_kwargs`` to this class,
    so that saved weights can be loaded without the method that trained them.

    Args:
        width: the channels C of the features.
        num_clusters: K, at least 2.
        **model_kwargs: the other arguments of the subclass, as JSON can hold them.

    Raises:
        ValueError: fewer than two clusters.
    """

    name: ClassVar[str]

    def __init__(self, width: int, num_clusters: int, **model_kwargs: object) -> None:
        super().__init__()
        if num_clusters < 2:
            raise ValueError(f"num_clusters={num_clusters} must be at least 2")
        self.width = width
        self.num_clusters = num_clusters
        self.model_kwargs = model_kwargs

    def forward(self, features: Tensor) -> Tensor:
        """Returns scores ``(B, K)`` of features ``(B, C)``."""
        raise NotImplementedError

    def card(self) -> dict[str, Any]:
        """Returns what `create_cluster_head` needs to build it again."""
        return {
            "name": self.name,
            "width": self.width,
            "num_clusters": self.num_clusters,
            "model_kwargs": self.model_kwargs,
        }


def register_cluster_head(name: str) -> Callable[[type[Head]], type[Head]]:
    """Registers a head under a name, by which saved weights know it again."""

    def register(cls: type[Head]) -> type[Head]:
        cls.name = name
        CLUSTER_HEADS[name] = cls
        return cls

    return register
