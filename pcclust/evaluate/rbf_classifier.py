"""The support vector classifier of ContrastNet's official script, on standardised features."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.cluster._inputs import mean_and_deviation

# Up to so many training shapes all kernel values fit into memory (1.2 GB): a matrix product gives
# them some five times as fast as scikit-learn computes them one after the other.
KEPT_SHAPES = 12_000
QUERIES = 4096


class RBFClassifier:
    """scikit-learn's ``SVC(gamma="auto")`` with C = 1 and the kernel exp(-‖x - y‖² / F).

    The script of Zhang and Zhu's ContrastNet (2019) uses this where the paper says linear SVM. It
    takes features as they are; here each is first brought to mean 0 and deviation 1, those of the
    training shapes, since the kernel has a width that suits nothing else: of two shapes drawn at
    random, ‖x - y‖² is then 2F in the mean.

    Args:
        features: ``(S, F)`` of the training shapes.
        labels: ``(S,)`` classes, at least two.

    Raises:
        ValueError: a single class.

    Example:
        >>> import torch
        >>> classifier = RBFClassifier(torch.tensor([[0.0], [0.1], [1.0]]), torch.tensor([3, 3, 7]))
        >>> classifier.predict(torch.tensor([[0.2], [0.9]]))
        array([3, 7])
    """

    def __init__(self, features: Tensor, labels: Tensor) -> None:
        from sklearn.svm import SVC

        self._mean, deviation = mean_and_deviation(features)
        self._spread = torch.where(deviation > 0, deviation, 1)
        self._kept = self._scaled(features) if len(features) <= KEPT_SHAPES else None
        kernel = "rbf" if self._kept is None else "precomputed"
        self._svc = SVC(kernel=kernel, gamma="auto")
        self._svc.fit(self._given(features), labels.numpy())

    def predict(self, features: Tensor) -> NDArray[np.int64]:
        """Returns the classes ``(S,)`` of features ``(S, F)``."""
        parts = [self._svc.predict(self._given(part)) for part in torch.split(features, QUERIES)]
        return np.concatenate(parts).astype(np.int64)

    def _given(self, features: Tensor) -> NDArray[np.float64]:
        """Returns kernel values with the training shapes, or features whose values it computes."""
        if self._kept is None:
            scaled: NDArray[np.float64] = self._scaled(features).numpy()
            return scaled
        values = torch.cdist(self._scaled(features), self._kept)
        kernel: NDArray[np.float64] = values.square_().div_(-features.shape[1]).exp_().numpy()
        return kernel

    def _scaled(self, features: Tensor) -> Tensor:
        return (features.double() - self._mean) / self._spread
