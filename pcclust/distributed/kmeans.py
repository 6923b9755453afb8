"""k-means of rows that many processes share, with the same bits for any number of them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pcclust.cluster._magnitude import squared_back, times_two_to
from pcclust.cluster.lloyd import Problem, split_for_empty, spreads_about_means
from pcclust.data.seeding import seeded_generator
from pcclust.distributed.candidates import centers_of_candidates, choose_candidates
from pcclust.distributed.share import Share, Totals


@dataclass(frozen=True)
class Settings:
    """What determines the clusters, beside the rows.

    Attributes:
        clusters: K.
        seed: of all that is left to chance.
        max_iter: iterations at most.
        tol: as for `pcclust.KMeans`.
    """

    clusters: int
    seed: int = 0
    max_iter: int = 300
    tol: float = 1e-4


@dataclass(frozen=True)
class State:
    """How far a job is; all that is needed to go on with it.

    Attributes:
        rounds: the rows that each round of seeding chose.
        centers: ``(K, D)`` after so many iterations; None while there are none.
        iteration: how many.
        done: whether they are the last ones.
    """

    rounds: list[Tensor] = field(default_factory=list)
    centers: Tensor | None = None
    iteration: int = 0
    done: bool = False


@dataclass(frozen=True)
class Found:
    """The clusters.

    Attributes:
        centers: ``(K, D)`` float32.
        sizes: ``(K,)`` int64, the rows of each.
        inertia: the sum of squared distances to them.
        iterations: how many it took.
    """

    centers: Tensor
    sizes: Tensor
    inertia: float
    iterations: int


def kmeans(
    share: Share,
    settings: Settings,
    state: State | None = None,
    keep: Callable[[State], None] = lambda state: None,
) -> Found:
    """Finds clusters; afterwards ``share.labels`` are those of its rows.

    Sums of rows are exact (see `pcclust.distributed.exact`), random numbers belong to rows, and
    what is decided is decided by the first process: so one process and a thousand give the same
    bits. The rule for empty clusters is that of `pcclust.KMeans`.

    Args:
        share: the rows of this process; all call this alike.
        settings: how many clusters, and so on.
        state: of a job that goes on.
        keep: is told the state whenever it changes, in all processes.

    Raises:
        ValueError: fewer rows than clusters.

    Example:
        >>> import numpy as np
        >>> from pcclust.distributed.group import Alone
        >>> from pcclust.distributed.kmeans import Settings, kmeans
        >>> from pcclust.distributed.rows import ArrayRows
        >>> from pcclust.distributed.share import Share
        >>> points = np.array([[0.0, 0.0], [0.0, 1.0], [9.0, 9.0], [9.0, 8.0]])
        >>> found = kmeans(Share(ArrayRows(points), Alone(), lambda rows: None), Settings(2))
        >>> found.inertia, sorted(found.centers.tolist())
        (1.0, [[0.0, 0.5], [9.0, 8.5]])
    """
    check_count(share.rows.count, settings.clusters)
    state = state or State()
    centers = state.centers
    if centers is None:
        state, centers = _begin(share, settings, state, keep)
    else:
        centers = centers.to(share.group.device)
    tolerance, totals = _tolerance(share, settings.tol), None
    while not state.done:
        totals = share.assign(centers)
        moved, movement = _move(share, settings, state.iteration, centers, totals)
        last = movement <= tolerance or state.iteration + 1 == settings.max_iter
        centers = moved
        state = State(state.rounds, centers, state.iteration + 1, last)
        keep(state)
        if movement > 0:
            totals = None  # it was of other centers
    totals = totals or share.assign(centers)
    return Found(
        times_two_to(centers, share.exponent),
        totals.masses,
        squared_back(share.inertia(), share.exponent),
        state.iteration,
    )


def check_count(rows: int, clusters: int) -> None:
    """Raises ValueError where there are fewer rows than clusters."""
    if rows < clusters:
        raise ValueError(f"--clusters {clusters:,} exceeds the {rows:,} rows: ask for fewer")


def _begin(
    share: Share, settings: Settings, state: State, keep: Callable[[State], None]
) -> tuple[State, Tensor]:
    """Chooses the first centers."""
    known, clusters = state.rounds, settings.clusters

    def kept(rounds: list[Tensor]) -> None:
        keep(State(rounds))

    candidates = choose_candidates(share, clusters, settings.seed, known, kept)
    centers = centers_of_candidates(share, len(candidates), clusters, settings.seed)
    state = State([], centers)
    keep(state)
    return state, centers


def _tolerance(share: Share, tol: float) -> float:
    """Returns the summed squared movement of all centers at which to stop."""
    mean_variance = 0.0
    if tol > 0:
        totals = share.assign(share.shift[None])
        mean = share.means_of(totals)[0][0]
        away = float((mean - share.shift.double()).square().sum())
        mean_variance = max(0.0, share.inertia() / share.rows.count - away) / len(mean)
    return tol * mean_variance


def _move(
    share: Share, settings: Settings, iteration: int, centers: Tensor, totals: Totals
) -> tuple[Tensor, float]:
    """Returns the centers moved to the means of their rows, and how far they moved, squared."""
    means, masses = share.means_of(totals)
    empty = masses == 0
    targets = torch.where(empty[:, None], centers.double(), means)
    if bool(empty.any()):
        total = share.summed_distances(len(centers))
        spreads = spreads_about_means(total, centers, means, masses)
        generator = seeded_generator(settings.seed, iteration)
        problem = Problem(share.shift[None], None, share.shift, False, generator)
        labels = share.labels[:0].long()
        targets = split_for_empty(problem, targets, masses, spreads, labels, share.distances[:0])
    moved = share.group.from_first(targets.to(centers.dtype))
    far = (moved.double() - centers.double()).square().sum()
    return moved, float(share.group.from_first(far))
