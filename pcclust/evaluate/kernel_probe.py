"""A linear classifier on a kernel map of fixed features."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pcclust.evaluate.linear_probe import LinearProbe


class KernelProbe:
    """The `LinearProbe` of features that went through a `KernelMap`, C chosen in the same way.

    The map is fitted on the training shapes without their labels, with random landmarks. It is
    multiplied by the root of its width: then rows are as long as standardised ones, for which the
    values of C are made.

    Args:
        features: ``(S, F)`` of the training shapes.
        labels: ``(S,)`` classes.
        landmarks: of the map, at most S.
        blocks: columns of each kind of features, in their order, for an equal say of each, as
            `KernelMap` has it; one kind if None.
        seed: of landmarks and folds.

    Attributes:
        C: of the fitted classifier.

    Raises:
        ValueError: fewer than two shapes, counts that do not agree, or features all equal.

    Example:
        >>> import torch
        >>> inside, outside = torch.tensor([[0.0], [0.1]]), torch.tensor([[-1.0], [1.0]])
        >>> labels = torch.tensor([3, 3, 7, 7])
        >>> probe = KernelProbe(torch.cat([inside, outside]), labels, landmarks=4)
        >>> probe.predict(torch.tensor([[0.05], [0.9], [-0.9]]))
        array([3, 7, 7])
    """

    def __init__(
        self,
        features: Tensor,
        labels: Tensor,
        *,
        landmarks: int = 3000,
        blocks: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        from pcclust.cluster import (
            KernelMap,
        )  # scikit-learn takes a second and 110 MB: for those who need it

        self._map = KernelMap(landmarks, blocks=blocks, landmarks="random", random_state=seed).fit(
            features
        )
        self._probe = LinearProbe(self._mapped(features), labels, standardize=False, seed=seed)
        self.C = self._probe.C

    def predict(self, features: Tensor) -> NDArray[np.int64]:
        """Returns the classes ``(S,)`` of features ``(S, F)``."""
        return self._probe.predict(self._mapped(features))

    def _mapped(self, features: Tensor) -> Tensor:
        mapped: Tensor = self._map.transform(features)
        return mapped.mul_(math.sqrt(self._map.n_components_))
