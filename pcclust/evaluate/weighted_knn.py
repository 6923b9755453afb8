"""A classifier by the nearest training shapes, which has nothing to train."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

QUERIES = 1024  # at once, so that memory does not grow with their number


class WeightedKNN:
    """Lets the k training shapes nearest by cosine vote, each with weight exp(cosine / τ).

    Source: Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination"
    (CVPR 2018), section 3.4, with its τ = 0.07; k = 20 is what later work made the custom (theirs
    is 200). Equal votes go to the lower class. A feature of length 0 has cosine 0 with every other.

    Args:
        features: ``(S, F)`` of the training shapes, as the encoder gives them.
        labels: ``(S,)`` classes from 0.
        k: how many vote; all where there are fewer.
        temperature: τ, the lower the more the nearest decide.

    Raises:
        ValueError: no shapes, counts that do not agree, or settings that are not positive.

    Example:
        >>> import torch
        >>> features = torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0]])
        >>> WeightedKNN(features, torch.tensor([3, 3, 7]), k=2).predict(torch.tensor([[0.2, 5.0]]))
        array([7])
    """

    def __init__(
        self, features: Tensor, labels: Tensor, *, k: int = 20, temperature: float = 0.07
    ) -> None:
        if len(features) != len(labels) or not len(labels):
            raise ValueError(
                f"neighbours need at least one shape and a label for each, got {len(features)} "
                f"features and {len(labels)} labels"
            )
        if k < 1 or temperature <= 0:
            raise ValueError(f"k={k} and temperature={temperature} must be positive")
        self.k = min(k, len(features))
        self.temperature = temperature
        self._directions = normalize(features, dim=1)
        self._classes, self._places = torch.unique(labels, return_inverse=True)

    def predict(self, features: Tensor) -> NDArray[np.int64]:
        """Returns the classes ``(S,)`` of features ``(S, F)``."""
        parts = [self._vote(normalize(part, dim=1)) for part in torch.split(features, QUERIES)]
        predicted: NDArray[np.int64] = self._classes[torch.cat(parts)].numpy()
        return predicted

    def _vote(self, directions: Tensor) -> Tensor:
        """Returns the places among the classes that win, ``(Q,)``, for unit vectors ``(Q, F)``."""
        cosine, nearest = (directions @ self._directions.T).topk(self.k, dim=1)
        # Divided by the largest, exp(cosine / τ) cannot overflow, however small τ is.
        weights = ((cosine - cosine[:, :1]) / self.temperature).exp()
        votes = weights.new_zeros(len(weights), len(self._classes))
        return votes.scatter_add_(1, self._places[nearest], weights).argmax(dim=1)
