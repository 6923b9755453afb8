"""k-means as an estimator."""

import warnings
from numbers import Integral
from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import ClusterMixin
from torch import Generator, Tensor
from typing_extensions import Self  # torch needs it, so it is there

from pcclust.cluster._estimator import Estimator, like
from pcclust.cluster._initial_centers import NAMED, initial_centers, number_of_starts
from pcclust.cluster._inputs import Data, as_generator, as_weights, middle, unit_rows
from pcclust.cluster._magnitude import exponent_of, squared_back, times_two_to
from pcclust.cluster.lloyd import Problem, Solution, inertia, lloyd, tolerance_of
from pcclust.cluster.mini_batch import take_in_batch
from pcclust.ops._distance import BLOCK
from pcclust.ops.kmeans_assign import kmeans_assign


class KMeans(ClusterMixin, Estimator):  # type: ignore[misc]
    """k-means clustering: greedy k-means++ seeding, then Lloyd's algorithm.

    Takes tensors of any device or NumPy arrays and gives back the same kind. On a CPU with the
    native library, distances are screened by 8-bit codes and decided exactly, several times faster
    than a matrix product; an N × k matrix exists nowhere. The same seed gives the same bits
    whatever the number of threads.

    Args:
        n_clusters: k, at most the number of samples.
        init: ``"k-means++"`` (greedy, Arthur and Vassilvitskii 2007), ``"random"`` (samples),
            ``(k, D)`` centers to start from, or a function ``init(X, n_clusters, random_state=…)``
            that returns them; it gets a NumPy RandomState.
        n_init: starts, of which the one with the lowest inertia is kept; ``"auto"``: 10 of random
            samples or of a function, otherwise 1.
        max_iter: iterations of one start at most.
        tol: stop when the centers' summed squared movement falls to this fraction of the features'
            mean variance; at 0, only when no label changes.
        metric: ``"euclidean"``, or ``"cosine"`` for spherical k-means: samples are brought to
            length one and centers are directions.
        random_state: a seed, a generator of torch or NumPy, or None for torch's global generator.

    Attributes:
        cluster_centers_: ``(k, D)``.
        labels_: ``(N,)`` int64, the nearest center of each sample of the last fit.
        inertia_: weighted sum of squared distances to the nearest centers (for cosine, of the
            directions: twice the weighted sum of 1 - cos).
        n_iter_: iterations of the best start, or batches seen by `partial_fit`.
        n_features_in_: D.
        feature_names_in_: ``(D,)`` of a data frame whose columns have names.

    Samples of any size will do, far from 1 too: a power of two brings them to where squares neither
    overflow nor vanish. (`inertia_` is a square, and may be 0 or inf where float64 ends.)

    An empty cluster takes half of the heaviest one, see `split_for_empty`.

    Example:
        >>> import torch
        >>> from pcclust import KMeans
        >>> X = torch.tensor([[0.0, 0.0], [0.0, 1.0], [9.0, 9.0], [9.0, 8.0]])
        >>> model = KMeans(2, random_state=0).fit(X)
        >>> model.inertia_, sorted(model.cluster_centers_.tolist())
        (1.0, [[0.0, 0.5], [9.0, 8.5]])
    """

    cluster_centers_: Any
    labels_: Any
    inertia_: float
    n_iter_: int
    _masses: Tensor
    _generator: Generator

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Literal["k-means++", "random"] | Data = "k-means++",
        n_init: int | Literal["auto"] = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        metric: Literal["euclidean", "cosine"] = "euclidean",
        random_state: int | Generator | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.metric = metric
        self.random_state = random_state

    def fit(self, X: Data, y: None = None, sample_weight: Data | None = None) -> Self:
        """Finds the clusters.

        Args:
            X: ``(N, D)`` samples; float16 and bfloat16 are computed in float32.
            y: ignored, there by convention.
            sample_weight: ``(N,)`` not negative; equal weights if None.

        Raises:
            TypeError: wrong types or dtypes.
            ValueError: wrong shapes, NaN or inf, more clusters than samples, a zero sample where
                the metric is cosine, impossible parameters.
        """
        problem, exponent = self._problem(X, sample_weight, as_generator(self.random_state))
        self.__dict__.pop("_masses", None)  # a stream of batches begins anew
        tolerance = tolerance_of(problem.points, self.tol)
        best: Solution | None = None
        for _ in range(number_of_starts(self.init, self.n_init)):
            centers, start = initial_centers(self.init, self.n_clusters, problem, exponent, X)
            solution = lloyd(problem, centers, start, self.max_iter, tolerance)
            if best is None or solution.inertia < best.inertia:
                best = solution
        assert best is not None  # n_init is at least 1
        self._keep(X, best.centers, best.labels, best.inertia, exponent)
        self.n_iter_ = best.iterations
        self._warn_of_empty(best.labels)
        return self

    def partial_fit(self, X: Data, y: None = None, sample_weight: Data | None = None) -> Self:
        """Moves the centers by one mini-batch (Sculley, Web-Scale K-Means Clustering, 2010).

        Every center becomes the mean of all samples that were ever assigned to it, batch by batch.
        The first batch also chooses the centers, so it must hold at least ``n_clusters`` samples.

        Args:
            X: ``(N, D)`` samples of one batch.
            y: ignored, there by convention.
            sample_weight: ``(N,)`` not negative; equal weights if None.

        Raises:
            TypeError: as `fit`.
            ValueError: as `fit`, or another number of features than before.
        """
        first = not hasattr(self, "_masses")
        if first:
            self._generator = as_generator(self.random_state)
        problem, exponent = self._problem(X, sample_weight, self._generator, first=first)
        if first:
            centers, _ = initial_centers(self.init, self.n_clusters, problem, exponent, X)
        else:
            centers = times_two_to(self._centers_like(problem.points), -exponent)
        centers, masses, labels, distances = take_in_batch(
            problem, centers, None if first else self._masses
        )
        self._keep(X, centers, labels, inertia(problem, distances), exponent)
        self._masses, self.n_iter_ = masses, 1 if first else self.n_iter_ + 1
        return self

    def predict(self, X: Data) -> Any:  # noqa: ANN401
        """Returns the nearest center of each sample, ``(N,)`` int64.

        Args:
            X: ``(N, D)`` samples.

        Raises:
            ValueError: not fitted, or X is wrong.
        """
        return like(X, self._assign(X)[0])

    def transform(self, X: Data) -> Any:  # noqa: ANN401
        """Returns the distance of each sample to every center, ``(N, k)``; for cosine, 1 - cos.

        Args:
            X: ``(N, D)`` samples.

        Raises:
            ValueError: not fitted, or X is wrong.
        """
        points, centers, exponent = self._compared(X)
        shift = middle(centers)
        step = max(1, BLOCK // points.shape[1])
        parts = [torch.cdist(part - shift, centers - shift) for part in torch.split(points, step)]
        distances = times_two_to(torch.cat(parts), exponent)
        return like(X, distances.square() / 2 if self.metric == "cosine" else distances)

    def score(self, X: Data, y: None = None, sample_weight: Data | None = None) -> float:
        """Returns the negative inertia of samples: the higher, the nearer are the centers.

        Args:
            X: ``(N, D)`` samples.
            y: ignored, there by convention.
            sample_weight: ``(N,)`` not negative; equal weights if None.

        Raises:
            ValueError: not fitted, or X is wrong.
        """
        _, distances, exponent = self._assign(X)
        weights = as_weights(sample_weight, distances)
        total = float((distances.double() * (1 if weights is None else weights)).sum())
        return -squared_back(total, exponent)

    def fit_predict(self, X: Data, y: None = None, sample_weight: Data | None = None) -> Any:  # noqa: ANN401
        """Finds the clusters and returns the labels; see `fit`."""
        return self.fit(X, y, sample_weight).labels_

    def fit_transform(self, X: Data, y: None = None, sample_weight: Data | None = None) -> Any:  # noqa: ANN401
        """Finds the clusters and returns all distances; see `fit` and `transform`."""
        return self.fit(X, y, sample_weight).transform(X)

    def _problem(
        self, X: Data, sample_weight: Data | None, generator: Generator, *, first: bool = True
    ) -> tuple[Problem, int]:
        """Returns what is to be clustered, and the exponent of the power of two it was divided by.

        Args:
            X: samples.
            sample_weight: their weights.
            generator: for whatever is left to chance.
            first: whether there are no centers yet.
        """
        self._check_parameters()
        points = self._samples(X, fits=first)
        if first and self.n_clusters > points.shape[0]:
            raise ValueError(
                f"n_clusters={self.n_clusters} exceeds n_samples={points.shape[0]}: "
                "ask for fewer clusters"
            )
        weights = as_weights(sample_weight, points)
        exponent = exponent_of(points, *([] if first else [self._centers_like(points)]))
        points = times_two_to(points, -exponent)
        spherical = self.metric == "cosine"
        return Problem(points, weights, middle(points), spherical, generator), exponent

    def _check_parameters(self) -> None:
        for name in ("n_clusters", "n_init", "max_iter"):
            value = getattr(self, name)
            if name == "n_init" and value == "auto":
                continue
            if isinstance(value, bool) or not isinstance(value, Integral):
                raise TypeError(f"{name} must be an int, got {value!r}")
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        if not 0 <= self.tol < float("inf"):
            raise ValueError(f"tol={self.tol!r} must be finite and at least 0")
        if self.metric not in ("euclidean", "cosine"):
            raise ValueError(f"metric={self.metric!r} is neither 'euclidean' nor 'cosine'")
        if isinstance(self.init, str) and self.init not in NAMED:
            raise ValueError(
                f"init={self.init!r} is neither 'k-means++', 'random', centers nor a function"
            )

    def _samples(self, X: Data, *, fits: bool) -> Tensor:
        """Returns the samples ``(N, D)``, brought to length one where that is the metric."""
        if not fits:
            self._check_fitted("cluster_centers_")
        points = self._points(X, fits=fits, overflow=1)
        return unit_rows(points) if self.metric == "cosine" else points

    def _compared(self, X: Data) -> tuple[Tensor, Tensor, int]:
        """Returns samples and centers, both times 2⁻ᵉ, and e."""
        points = self._samples(X, fits=False)
        centers = self._centers_like(points)
        exponent = exponent_of(points, centers)
        return times_two_to(points, -exponent), times_two_to(centers, -exponent), exponent

    def _assign(self, X: Data) -> tuple[Tensor, Tensor, int]:
        """Returns nearest centers, squared distances times 2⁻²ᵉ, and e."""
        points, centers, exponent = self._compared(X)
        return *kmeans_assign(points, centers, middle(centers)), exponent

    def _centers_like(self, points: Tensor) -> Tensor:
        return torch.as_tensor(self.cluster_centers_).to(points.device, points.dtype).contiguous()

    def _keep(
        self, X: Data, centers: Tensor, labels: Tensor, inertia: float, exponent: int
    ) -> None:
        self.cluster_centers_ = like(X, times_two_to(centers, exponent))
        self.labels_ = like(X, labels)
        self.inertia_ = squared_back(inertia, exponent)

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def _warn_of_empty(self, labels: Tensor) -> None:
        found = int((torch.bincount(labels, minlength=self.n_clusters) > 0).sum())
        if found < self.n_clusters:
            warnings.warn(
                f"only {found} of the {self.n_clusters} clusters have samples: there may be fewer "
                "different samples than clusters",
                stacklevel=3,
            )
