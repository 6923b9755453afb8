"""A linear classifier on fixed features."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.cluster._inputs import mean_and_deviation
from pcclust.data.seeding import seeded_generator
from pcclust.data.splits import stratified

C_GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 1e1)
FOLDS = 5
# Choosing C costs 55 fits: enough of the shapes choose it well.
CHOOSING_SHAPES = 2000
STEPS = 500
HISTORY = 20  # of L-BFGS; more saves fewer steps than it costs


class LinearProbe:
    """A linear support vector classifier, by default on standardised features.

    What scikit-learn's LinearSVC solves (each class against the rest, squared hinge, the bias
    regularised as a weight is), but for all classes at once by L-BFGS, whose steps are products of
    matrices: with 1,024 features and 40 classes that is some fifteen times as fast. C is chosen
    by 5-fold cross-validation on the training shapes, on at most 2,000 of them, and used as it is
    on all: the regularisation is a prior, which more shapes outweigh. Published probes use a C from
    0.0093 to 1, often without saying how it was chosen.

    Args:
        features: ``(S, F)`` of the training shapes.
        labels: ``(S,)`` classes.
        C: the weight of the losses; chosen if None.
        standardize: whether every feature is first brought to mean 0 and deviation 1, those of the
            training shapes; published scripts mostly take features as they are.
        seed: of the folds.

    Attributes:
        C: of the fitted classifier.

    Raises:
        ValueError: fewer than two shapes, or counts that do not agree.

    Example:
        >>> import torch
        >>> features = torch.tensor([[0.0], [0.1], [0.9], [1.0]])
        >>> probe = LinearProbe(features, torch.tensor([3, 3, 7, 7]), C=1)
        >>> probe.predict(torch.tensor([[0.2], [0.7]]))
        array([3, 7])
    """

    def __init__(
        self,
        features: Tensor,
        labels: Tensor,
        *,
        C: float | None = None,
        standardize: bool = True,
        seed: int = 0,
    ) -> None:
        check_shapes(features, labels)
        self._mean, self._spread = features.new_zeros(1), features.new_ones(1)
        if standardize:
            mean, deviation = mean_and_deviation(features)
            self._mean = mean.to(features)
            self._spread = torch.where(deviation > 0, deviation, 1).to(features)
        scaled = self._scaled(features)
        self._classes, places = torch.unique(labels, return_inverse=True)
        self.C = _choose(scaled, places, seed) if C is None else C
        self._weights = _OneVsRest(scaled, places, len(self._classes)).fit(self.C)

    def predict(self, features: Tensor) -> NDArray[np.int64]:
        """Returns the classes ``(S,)`` of features ``(S, F)``."""
        places = (self._scaled(features) @ self._weights).argmax(dim=1)
        predicted: NDArray[np.int64] = self._classes[places].numpy()
        return predicted

    def _scaled(self, features: Tensor) -> Tensor:
        """Returns the features as the classifiers see them, and a 1 whose weight is the bias."""
        scaled = (features - self._mean) / self._spread
        return torch.cat([scaled, scaled.new_ones(len(scaled), 1)], dim=1)


def _choose(scaled: Tensor, places: Tensor, seed: int) -> float:
    """Returns the C of the best accuracy over the folds, the smallest of equals."""
    chosen = stratified(places, CHOOSING_SHAPES, seed)
    scaled, kept = scaled[chosen], places[chosen]
    shuffled = torch.randperm(len(kept), generator=seeded_generator(seed))
    fold = torch.empty(len(kept), dtype=torch.int64)
    fold[shuffled[kept[shuffled].argsort(stable=True)]] = torch.arange(len(kept)) % FOLDS
    hits = torch.zeros(len(C_GRID), dtype=torch.int64)
    for number in range(min(FOLDS, len(kept))):
        inside, outside = fold != number, fold == number
        classifiers = _OneVsRest(scaled[inside], kept[inside], int(places.max()) + 1)
        weights: Tensor | None = None
        for place, C in enumerate(C_GRID):
            weights = classifiers.fit(C, weights)
            hits[place] += ((scaled[outside] @ weights).argmax(dim=1) == kept[outside]).sum()
    return C_GRID[int(hits.argmax())]


class _OneVsRest:
    """The classifiers of all classes on the same features ``(S, F)``."""

    def __init__(self, scaled: Tensor, places: Tensor, num_classes: int) -> None:
        self._signs = scaled.new_full((len(places), num_classes), -1)
        self._signs[torch.arange(len(places)), places] = 1
        # Correlated features take L-BFGS hundreds of steps. In units of the curvature that all
        # shapes together give to the objective, 1 + 2 C λ along its axes, it takes a few dozen.
        self._values, self._axes = _principal_axes(scaled)
        self._along = scaled @ self._axes

    def fit(self, C: float, start: Tensor | None = None) -> Tensor:
        """Minimises ½‖W‖² + C Σ max(0, 1 - y xW)² over W ``(F, num_classes)``, with y = ±1.

        It begins from ``start``, such as the weights of another C, or from zero.
        """
        units = (1 + 2 * C * self._values).rsqrt()[:, None]
        features, count = self._along * units.T, len(self._along)
        weights = features.new_zeros(features.shape[1], self._signs.shape[1])
        if start is not None:
            weights = self._axes.T @ start / units
        weights.requires_grad_()
        optimizer = torch.optim.LBFGS(
            [weights],
            max_iter=STEPS,
            tolerance_grad=1e-7,
            history_size=HISTORY,
            line_search_fn="strong_wolfe",
        )

        def objective() -> Tensor:
            optimizer.zero_grad()
            slack = (1 - self._signs * (features @ weights)).relu()
            value = (weights * units).square().sum() / (2 * C) + slack.square().sum()
            mean: Tensor = value / count
            mean.backward()  # type: ignore[no-untyped-call]
            return mean

        optimizer.step(objective)  # type: ignore[no-untyped-call]
        found: Tensor = self._axes @ (weights.detach() * units)
        return found


def _principal_axes(scaled: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the eigenvalues λ of XᵀX for ``(S, F)`` and axes ``(F, A)`` that span X's rows.

    In the span of the rows lie all optimal weights, so S axes do where S < F, as with few labels.
    """
    if len(scaled) >= scaled.shape[1]:
        values, axes = torch.linalg.eigh(scaled.T @ scaled)
        return values.clamp_min(0), axes
    # Squares of singular values: float64 keeps the small ones of float32 features.
    rows = scaled.double()
    values, left = torch.linalg.eigh(rows @ rows.T)
    kept = values > values[-1] * len(rows) * torch.finfo(values.dtype).eps
    values, left = values[kept], left[:, kept]
    return values.to(scaled), (rows.T @ left / values.sqrt()).to(scaled)


def check_shapes(features: Tensor, labels: Tensor) -> None:
    """Refuses what no classifier can be trained on.

    Raises:
        ValueError: fewer than two shapes, or counts that do not agree.
    """
    if len(features) != len(labels) or len(labels) < 2:
        raise ValueError(
            f"a probe needs at least two shapes and a label for each, got {len(features)} "
            f"features and {len(labels)} labels"
        )


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
