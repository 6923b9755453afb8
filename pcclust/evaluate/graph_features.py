"""Features beside where their graph has them, for classifiers of few labels."""

import torch
from torch import Tensor, cat

from pcclust.cluster._inputs import mean_and_deviation


class GraphFeatures:
    """Features beside the coordinates that a graph of all training shapes gives them.

    The graph needs no label, so it is made of all training shapes, however few of them have one.
    Rows of both parts have about length one, so that they have an equal say: features are brought
    to mean 0 and to variance 1 in the sum of all columns, and rows of a `SpectralMap` have length
    one as they are.

    Args:
        features: ``(S, F)`` of all training shapes.
        components: of the spectral map; S - 1 where there are fewer shapes.

    Example:
        >>> import torch
        >>> features = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
        >>> GraphFeatures(features, components=5)(features).shape
        torch.Size([50, 13])
    """

    def __init__(self, features: Tensor, *, components: int) -> None:
        from pcclust.cluster import SpectralMap  # scikit-learn takes a second and 110 MB

        mean, deviation = mean_and_deviation(features)
        scale = torch.where(deviation > 0, 1 / (deviation * features.shape[1] ** 0.5), 0)
        self._mean, self._scale = mean.to(features), scale.to(features)
        self._map = SpectralMap(min(components, len(features) - 1)).fit(self._scaled(features))

    def __call__(self, features: Tensor) -> Tensor:
        """Returns ``(S, F + components)`` of features ``(S, F)``."""
        scaled = self._scaled(features)
        mapped: Tensor = self._map.transform(scaled)
        return cat([scaled, mapped], dim=1)

    def _scaled(self, features: Tensor) -> Tensor:
        scaled: Tensor = (features - self._mean) * self._scale
        return scaled
