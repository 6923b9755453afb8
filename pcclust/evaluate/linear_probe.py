"""A linear classifier on fixed features."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from pcclust.evaluate.turns import stratified

if TYPE_CHECKING:
    from sklearn.svm import LinearSVC

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 1e1)
FOLDS = 5
# Choosing C costs 25 fits, those with a large C the slowest: enough of the shapes choose it well.
CHOOSING_SHAPES = 2000


class LinearProbe:
    """A linear support vector machine on standardised features.

    scikit-learn's LinearSVC (one class against the rest, squared hinge), with C chosen by 5-fold
    cross-validation on the training shapes, on at most 2,000 of them. C weighs the sum of the
    losses of all shapes, so the one chosen on n' of n shapes is used as C n'/n. Published probes
    use a C from 0.0093 to 1, often without saying how it was chosen.

    Args:
        features: ``(S, F)`` of the training shapes.
        labels: ``(S,)`` classes.
        C: of LinearSVC; chosen if None.
        seed: of the folds and of the solver.

    Attributes:
        C: of the fitted classifier.

    Raises:
        ImportError: scikit-learn is not installed.
        ValueError: fewer than two classes, or too few shapes of them to choose C.

    Example:
        >>> import numpy as np
        >>> features = np.array([[0.0], [0.1], [0.9], [1.0]])
        >>> LinearProbe(features, np.array([0, 0, 1, 1]), C=1).predict(np.array([[0.2], [0.7]]))
        array([0, 1])
    """

    def __init__(
        self,
        features: NDArray[np.floating],
        labels: NDArray[np.int64],
        *,
        C: float | None = None,
        seed: int = 0,
    ) -> None:
        try:
            from sklearn.preprocessing import StandardScaler
        except ImportError as error:
            raise ImportError("probes need scikit-learn: pip install 'pcclust[train]'") from error
        self._seed = seed
        self._scaler = StandardScaler().fit(features)
        scaled = self._scaler.transform(features)
        self.C = self._choose(scaled, labels) if C is None else C
        self._classifier = self._machine(self.C).fit(scaled, labels)

    def predict(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Returns the classes ``(S,)`` of features ``(S, F)``."""
        predicted: NDArray[np.int64] = self._classifier.predict(self._scaler.transform(features))
        return predicted

    def _choose(self, scaled: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
        """Returns the C of the best mean accuracy over the folds, the smallest of equals."""
        from sklearn.model_selection import StratifiedKFold, cross_val_score

        chosen = stratified(torch.from_numpy(labels), CHOOSING_SHAPES, self._seed).numpy()
        classes, counts = np.unique(labels[chosen], return_counts=True)
        # A class of one shape cannot be both learned and tested.
        chosen = chosen[np.isin(labels[chosen], classes[counts > 1])]
        counts = counts[counts > 1]
        if len(counts) < 2:
            raise ValueError(
                "C cannot be chosen by cross-validation: fewer than two classes have two training "
                "shapes or more; give more shapes, or C"
            )
        folds = StratifiedKFold(min(FOLDS, counts.min()), shuffle=True, random_state=self._seed)
        scores = [
            cross_val_score(self._machine(C), scaled[chosen], labels[chosen], cv=folds).mean()
            for C in STRENGTHS
        ]
        return STRENGTHS[int(np.argmax(scores))] * len(chosen) / len(labels)

    def _machine(self, C: float) -> "LinearSVC":
        from sklearn.svm import LinearSVC

        return LinearSVC(C=C, dual="auto", random_state=self._seed)


def check_classes(
    train: NDArray[np.int64], test: NDArray[np.int64], class_names: Sequence[str]
) -> None:
    """Refuses test shapes of a class that no training shape has.

    Raises:
        ValueError: naming the class.
    """
    missing = np.setdiff1d(test, train)
    if len(missing):
        names = ", ".join(repr(class_names[label]) for label in missing[:5])
        raise ValueError(
            f"{len(missing)} of the classes to test have no training shape: {names}; "
            "add shapes of them, or leave these classes out of the test"
        )
