"""Predicted classes of shapes in several orientations, and what they say."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """The class a model gives each of S shapes in each of R rounds of turns.

    Attributes:
        predictions: ``(R, S)`` int64.
        labels: ``(S,)`` int64, the true classes.
        num_classes: C.

    Raises:
        ValueError: shapes that do not agree, no shapes, or a class that is not in [0, C).

    Example:
        >>> import numpy as np
        >>> found = Predictions(np.array([[0, 1, 1], [0, 1, 0]]), np.array([0, 1, 1]), 2)
        >>> round(found.mean, 3), round(found.worst, 3), round(found.consistency, 3)
        (0.833, 0.667, 0.667)
    """

    predictions: NDArray[np.int64]
    labels: NDArray[np.int64]
    num_classes: int

    def __post_init__(self) -> None:
        if self.predictions.ndim != 2 or self.predictions.shape[1:] != self.labels.shape:
            raise ValueError(
                f"predictions must be (R, S) for labels (S,), got {self.predictions.shape} "
                f"for {self.labels.shape}"
            )
        if not self.predictions.size:
            raise ValueError(f"no predictions: they are {self.predictions.shape}")
        for name, classes in (("prediction", self.predictions), ("label", self.labels)):
            if classes.min() < 0 or classes.max() >= self.num_classes:
                wrong = classes[(classes < 0) | (classes >= self.num_classes)][0]
                raise ValueError(f"{name} {wrong} is not one of {self.num_classes} classes")

    @property
    def right(self) -> NDArray[np.bool_]:
        """``(R, S)``, whether each prediction is right."""
        right: NDArray[np.bool_] = self.predictions == self.labels
        return right

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """``(R,)``, the fraction of right predictions in each round."""
        accuracies: NDArray[np.float64] = self.right.mean(axis=1)
        return accuracies

    @property
    def mean(self) -> float:
        """The accuracy, mean over the rounds."""
        return float(self.accuracies.mean())

    @property
    def std(self) -> float:
        """Sample standard deviation of the accuracy over the rounds; 0 for a single one."""
        return float(self.accuracies.std(ddof=1)) if len(self.accuracies) > 1 else 0.0

    @property
    def worst(self) -> float:
        """The accuracy of the worst round."""
        return float(self.accuracies.min())

    @property
    def per_class(self) -> NDArray[np.float64]:
        """``(C,)`` accuracy of each class, mean over the rounds; NaN for one without shapes."""
        counts = np.bincount(self.labels, minlength=self.num_classes)
        hits = np.bincount(self.labels, self.right.mean(axis=0), minlength=self.num_classes)
        fractions: NDArray[np.float64] = np.divide(
            hits, counts, out=np.full(len(counts), np.nan), where=counts > 0
        )
        return fractions

    @property
    def class_mean(self) -> float:
        """Mean over the classes that have shapes of their accuracies."""
        return float(np.nanmean(self.per_class))

    @property
    def _constant(self) -> NDArray[np.bool_]:
        """``(S,)``, whether a shape is predicted as one class in all rounds."""
        constant: NDArray[np.bool_] = (self.predictions == self.predictions[0]).all(axis=0)
        return constant

    @property
    def consistency(self) -> float:
        """The fraction of shapes that are predicted as one class in all rounds, right or wrong."""
        return float(self._constant.mean())

    @property
    def always_right(self) -> float:
        """The fraction of shapes that are predicted rightly in every round: the worst case."""
        return float(self.right.all(axis=0).mean())

    @property
    def confusion(self) -> NDArray[np.int64]:
        """``(C, C)`` counts of predictions over all rounds: true class by predicted class."""
        cells = self.labels * self.num_classes + self.predictions
        counts = np.bincount(cells.ravel(), minlength=self.num_classes**2)
        return counts.reshape(self.num_classes, self.num_classes)
