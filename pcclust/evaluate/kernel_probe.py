"""A linear classifier on a kernel map of fixed features."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.evaluate.linear_probe import LinearProbe, check_shapes

# So many shapes are all landmarks; of more, so many landmarks are drawn.
MOST_EXACT, LANDMARKS = 12_000, 3000


class KernelProbe:
    """A linear classifier on what a `KernelMap`, fitted without labels, makes of the features.

    Where all shapes are landmarks it is least squares, whose penalty leaving out one shape at a
    time chooses; both in closed form, see `pcclust.evaluate.kernel_least_squares`. The bandwidth of
    the kernel is then the mean squared distance of two shapes. Fewer landmarks are drawn at random;
    on their map, whose bandwidth is half as wide, follows the `LinearProbe`, C chosen in the same
    way, and the map is multiplied by the root of its width: then rows are as long as standardised
    ones, for which the values of C are made. All of this is our choice.

    Args:
        features: ``(S, F)`` of the training shapes.
        labels: ``(S,)`` classes.
        landmarks: of the map; if None all shapes up to 12,000, and 3,000 of more.
        blocks: columns of each kind of features, in their order, for an equal say of each, as
            `KernelMap` has it; one kind if None.
        seed: of landmarks and folds.

    Attributes:
        C: of the fitted classifier; 1 / 2λ for least squares with penalty λ.

    Raises:
        ValueError: fewer than two shapes, counts that do not agree, or features all equal.

    Example:
        >>> import torch
        >>> inside, outside = torch.tensor([[0.0], [0.1]]), torch.tensor([[-1.0], [1.0]])
        >>> labels = torch.tensor([3, 3, 7, 7])
        >>> probe = KernelProbe(torch.cat([inside, outside]), labels)
        >>> probe.predict(torch.tensor([[0.05], [0.9], [-0.9]]))
        array([3, 7, 7])
    """

    def __init__(
        self,
        features: Tensor,
        labels: Tensor,
        *,
        landmarks: int | None = None,
        blocks: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        check_shapes(features, labels)
        if landmarks is None:
            landmarks = len(features) if len(features) <= MOST_EXACT else LANDMARKS
        self._machine: _Exact | _OnLandmarks
        if landmarks >= len(features):
            self._machine = _Exact(features, labels, blocks)
        else:
            self._machine = _OnLandmarks(features, labels, landmarks, blocks, seed)
        self.C = self._machine.C

    def predict(self, features: Tensor) -> NDArray[np.int64]:
        """Returns the classes ``(S,)`` of features ``(S, F)``."""
        return self._machine.predict(features)


class _Exact:
    """Least squares with all shapes as landmarks."""

    def __init__(self, features: Tensor, labels: Tensor, blocks: Sequence[int] | None) -> None:
        from pcclust.cluster import KernelMap  # see `_OnLandmarks`
        from pcclust.evaluate.kernel_least_squares import KernelLeastSquares

        # A single landmark: what is wanted of the map is how it scales rows, and its kernel.
        self._map = KernelMap(1, bandwidth=1.0, blocks=blocks, landmarks="random").fit(features)
        self._classes, places = torch.unique(labels, return_inverse=True)
        self._machine = KernelLeastSquares(self._scaled(features), places, self._map.gamma_)
        self.C = 1 / (2 * self._machine.penalty)

    def predict(self, features: Tensor) -> NDArray[np.int64]:
        places = self._machine.scores(self._scaled(features)).argmax(dim=1)
        predicted: NDArray[np.int64] = self._classes[places].numpy()
        return predicted

    def _scaled(self, features: Tensor) -> Tensor:
        scaled: Tensor = (features - self._map.mean_) * self._map.scale_
        return scaled


class _OnLandmarks:
    """The `LinearProbe` on the map of some landmarks."""

    def __init__(
        self,
        features: Tensor,
        labels: Tensor,
        landmarks: int,
        blocks: Sequence[int] | None,
        seed: int,
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
        return self._probe.predict(self._mapped(features))

    def _mapped(self, features: Tensor) -> Tensor:
        mapped: Tensor = self._map.transform(features)
        return mapped.mul_(math.sqrt(self._map.n_components_))
