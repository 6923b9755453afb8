"""A kernel map: features whose inner products are the values of a Gaussian kernel."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from typing_extensions import Self

from pcclust.cluster._estimator import FeatureMap, like
from pcclust.cluster._inputs import Data, as_generator, mean_and_deviation, middle
from pcclust.cluster.kmeans_plus_plus import kmeans_plus_plus, random_points

# What is left of a direction of the landmarks that rounding made, as in scikit-learn.
SMALLEST_VALUE = 1e-12
ROWS_AT_ONCE = 4096


class KernelMap(FeatureMap):
    """Nyström's map: a linear method on its output is that method with a Gaussian kernel.

    Columns are brought to mean 0 and variance 1 / (columns of their block), so that features of
    several kinds, each a block, have an equal say. The kernel is ``exp(-d² / (bandwidth m))`` with
    m the mean squared distance of two different rows (of which the mean is taken over all pairs).
    With L the landmarks, some of the rows, the map of x is ``k(x, L) k(L, L)^(-1/2)``: as
    scikit-learn's ``Nystroem`` has it, whose ``gamma`` is 1 / (bandwidth m). No label is looked at.

    Args:
        n_components: how many landmarks, and columns of the output; all rows where there are fewer.
        bandwidth: of the kernel, in units of the mean squared distance.
        blocks: columns of each block, in their order; one block if None.
        landmarks: "k-means++", which spreads them over the rows, or "random".
        random_state: a seed, a generator of torch or NumPy, or None for torch's global generator.

    Attributes:
        mean_: ``(D,)`` of the columns.
        scale_: ``(D,)`` by which they are multiplied; 0 for one that is constant.
        gamma_: of the kernel.
        landmarks_: ``(C, D)`` scaled rows.
        normalization_: ``(C, C)``, k(L, L)^(-1/2).
        landmark_indices_: ``(C,)`` the rows that are landmarks.
        n_components_: C.
        n_features_in_: D.

    Source: Williams and Seeger, "Using the Nyström Method to Speed Up Kernel Machines" (2001).

    Example:
        >>> import torch
        >>> X = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
        >>> Z = KernelMap(50, random_state=0).fit_transform(X)
        >>> Z.shape, torch.allclose(Z.square().sum(dim=1), torch.ones(50), atol=1e-3)
        (torch.Size([50, 50]), True)
    """

    mean_: Any
    scale_: Any
    gamma_: float
    landmarks_: Any
    normalization_: Any
    landmark_indices_: Any

    def __init__(
        self,
        n_components: int = 1000,
        *,
        bandwidth: float = 0.5,
        blocks: Sequence[int] | None = None,
        landmarks: Literal["k-means++", "random"] = "k-means++",
        random_state: Any = None,  # noqa: ANN401
    ) -> None:
        self.n_components = n_components
        self.bandwidth = bandwidth
        self.blocks = blocks
        self.landmarks = landmarks
        self.random_state = random_state

    def fit(self, X: Data, y: object = None) -> Self:
        """Chooses the landmarks.

        Args:
            X: ``(N, D)`` features.
            y: ignored, there by convention.

        Raises:
            TypeError: wrong types or dtypes.
            ValueError: wrong shape, NaN or inf, equal rows, blocks that do not add up to D.
        """
        points = self._points(X, fits=True)
        self._check_parameters(points.shape[1])
        if len(points) == 1:
            raise ValueError("X has 1 sample, n_samples = 1, and one has no distances to others")
        mean, scale = self._mean_and_scale(points)
        scaled = (points - mean) * scale
        count = min(self.n_components, len(points))
        chosen = self._choose(scaled, count)
        centers = scaled[chosen]
        # Σ over all pairs of |x - y|² is 2 N Σ |x|² for centred rows.
        distance = 2 * float(scaled.double().square().sum()) / (len(points) - 1)
        self.gamma_ = 1 / (self.bandwidth * distance)
        kernel = gaussian_kernel(centers.double(), centers.double(), self.gamma_)
        values, axes = torch.linalg.eigh(kernel)
        root = (axes / values.clamp(min=SMALLEST_VALUE).sqrt()) @ axes.T
        fitted = {"mean_": mean, "scale_": scale, "landmarks_": centers, "normalization_": root}
        for name, value in fitted.items():
            setattr(self, name, like(X, value.to(points.dtype)))
        self.landmark_indices_ = like(X, chosen)
        self.n_components_ = count
        return self

    def transform(self, X: Data) -> Any:  # noqa: ANN401
        """Returns mapped features ``(N, C)``.

        Args:
            X: ``(N, D)`` features.

        Raises:
            TypeError: wrong types or dtypes.
            ValueError: not fitted, or X is wrong.
        """
        points, mean, scale, landmarks, root = self._fitted(
            X, "mean_", "scale_", "landmarks_", "normalization_"
        )
        mapped = [
            gaussian_kernel((rows - mean) * scale, landmarks, self.gamma_) @ root
            for rows in torch.split(points, ROWS_AT_ONCE)
        ]
        return like(X, torch.cat(mapped))

    def _check_parameters(self, features: int) -> None:
        if isinstance(self.n_components, bool) or not isinstance(self.n_components, int):
            raise TypeError(f"n_components must be an int, got {self.n_components!r}")
        if self.n_components < 1:
            raise ValueError(f"n_components={self.n_components} must be positive")
        if not 0 < self.bandwidth < float("inf"):
            raise ValueError(f"bandwidth={self.bandwidth!r} must be positive and finite")
        if self.landmarks not in ("k-means++", "random"):
            raise ValueError(f"landmarks={self.landmarks!r} must be 'k-means++' or 'random'")
        blocks = self.blocks
        if blocks is not None and (min(blocks, default=0) < 1 or sum(blocks) != features):
            raise ValueError(
                f"blocks={tuple(blocks)} must be positive and add up to the {features} features "
                "of X"
            )

    def _mean_and_scale(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Returns what columns are centred on and multiplied by."""
        mean, deviation = mean_and_deviation(points)
        if not bool(deviation.any()):
            raise ValueError(
                f"all {len(points)} rows of X are equal (to rounding): features that do not "
                "differ have no distances to measure"
            )
        blocks = self.blocks or (points.shape[1],)
        widths = torch.tensor(blocks, device=mean.device)
        width = widths.double().repeat_interleave(widths)
        scale = torch.where(deviation > 0, 1 / (deviation * width.sqrt()), 0)
        return mean.to(points), scale.to(points)

    def _choose(self, scaled: Tensor, count: int) -> Tensor:
        """Returns the rows that become landmarks."""
        if count == len(scaled):
            return torch.arange(count, device=scaled.device)
        generator = as_generator(self.random_state)
        if self.landmarks == "random":
            return random_points(scaled, None, count, generator).indices
        return kmeans_plus_plus(scaled, None, count, middle(scaled), generator).indices


def gaussian_kernel(rows: Tensor, landmarks: Tensor, gamma: float) -> Tensor:
    """Returns ``(N, C)`` ``exp(-gamma d²)`` of rows ``(N, D)`` and landmarks ``(C, D)``."""
    return torch.cdist(rows, landmarks).square_().mul_(-gamma).exp_()
