"""Which shapes an encoder cannot describe but by a choice that rounding makes."""

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pcclust.data.dataset import PointDataset
from pcclust.evaluate.forward import Advance, Model, batches


@runtime_checkable
class KnowsNearTies(Protocol):
    """A model that says which of its inputs lie near a tie, as `ClusterNet` does."""

    def near_ties(self, points: Tensor) -> Tensor:
        """Returns ``(B,)`` bool for clouds ``(B, N, 3)``."""


def who_knows_near_ties(model: object) -> list[KnowsNearTies]:
    """Returns the outermost modules of a model that say which clouds lie near a tie.

    Whatever holds an encoder holds it as a module: classifiers, stacks of features, canonical
    poses, which turn and scale clouds but leave their ties as they are.

    Example:
        >>> from pcclust.nn import CanonicalPose, FeatureStack
        >>> stack = FeatureStack([CanonicalPose("clusternet"), "pointnet", "clusternet"])
        >>> [type(known).__name__ for known in who_knows_near_ties(stack)]
        ['ClusterNet', 'ClusterNet']
    """
    if isinstance(model, KnowsNearTies):
        return [model]
    children = model.children() if isinstance(model, nn.Module) else ()
    return [known for child in children for known in who_knows_near_ties(child)]


def find_near_ties(
    model: Model,
    shapes: PointDataset,
    batch_size: int,
    device: torch.device,
    advance: Advance = lambda clouds: None,
) -> NDArray[np.bool_] | None:
    """Asks all modules of a model that know which shapes have near ties.

    Args:
        model: any.
        shapes: S of them, upright: rotation does not change margins.
        batch_size: shapes it is asked about at once, at most.
        device: where the model is.
        advance: called with the number of shapes of each batch, if any module knows.

    Returns:
        ``(S,)`` where any of them has, or None if none has a method ``near_ties``.
    """
    knowing = who_knows_near_ties(model)
    if not knowing:
        return None
    near = np.zeros(len(shapes), bool)
    for rows in batches(len(shapes), batch_size):
        batch = shapes.batch(rows).to(device)
        for known in knowing:
            near[rows.numpy()] |= known.near_ties(batch).cpu().numpy()
        advance(len(rows))
    return near
