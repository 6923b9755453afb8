"""Which shapes an encoder cannot describe but by a choice that rounding makes."""

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.data.dataset import PointDataset
from pcclust.evaluate.forward import Model, batches


@runtime_checkable
class KnowsNearTies(Protocol):
    """A model that says which of its inputs lie near a tie, as `ClusterNet` does."""

    def near_ties(self, points: Tensor) -> Tensor:
        """Returns ``(B,)`` bool for clouds ``(B, N, 3)``."""


def find_near_ties(
    model: Model, shapes: PointDataset, batch_size: int, device: torch.device
) -> NDArray[np.bool_] | None:
    """Asks a model, or the backbone within it, which shapes have near ties.

    Args:
        model: any; of a classifier and its like, ``model.backbone`` is asked.
        shapes: S of them, upright: rotation does not change margins.
        batch_size: shapes it is asked about at once, at most.
        device: where the model is.

    Returns:
        ``(S,)``, or None if the model has no method ``near_ties``.
    """
    asked: object = model
    while not isinstance(asked, KnowsNearTies):
        asked = getattr(asked, "backbone", None)
        if asked is None:
            return None
    parts = [
        asked.near_ties(shapes.batch(rows).to(device)).cpu().numpy()
        for rows in batches(len(shapes), batch_size)
    ]
    return np.concatenate(parts).astype(bool)
