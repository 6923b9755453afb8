"""What was found of runs that cluster the same shapes, side by side; JSON."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.cluster import adjusted_rand_index

Ints = NDArray[np.int64]
# What is measured, by its names in JSON.
PARTS = {
    "fitted": "As they stand",
    "fitted_turned": "Turned any way",
    "test": "Test shapes, as they stand",
    "test_turned": "Test shapes, turned any way",
}


class Assigned(NamedTuple):
    """The clusters of the same shapes.

    Attributes:
        upright: ``(N,)`` of shapes as they stand.
        turned: ``(R, N)`` in each round of turns.
    """

    upright: Ints
    turned: Ints


@dataclass(frozen=True)
class MeasuredRun:
    """One clustering.

    Attributes:
        name: where it is from.
        seed: of the run.
        n_clusters: that it has.
        fitted: the shapes that it was fitted on, or shown in their place.
        test: held-out shapes; None without them.
        measures: by the name of the part (see `PARTS`) and of the measure.
        sizes: ``(E, K)`` of its clusters after each epoch; None where nothing tells.
        space: ``(N, C)`` features of the fitted shapes as they stand; None where it is not kept.
    """

    name: str
    seed: int
    n_clusters: int
    fitted: Assigned
    test: Assigned | None
    measures: Mapping[str, Mapping[str, float]]
    sizes: Ints | None = None
    space: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class RunGroup:
    """Runs that differ by their seed alone.

    Attributes:
        title: what tables call them.
        runs: at least one.
    """

    title: str
    runs: tuple[MeasuredRun, ...]

    def mean_and_deviation(self, part: str, measure: str) -> tuple[float, float | None] | None:
        """Returns mean and sample standard deviation over the runs; None for what is not known."""
        told = [run.measures.get(part, {}) for run in self.runs]
        values = [measures[measure] for measures in told if measure in measures]
        if not values:
            return None
        return mean(values), stdev(values) if len(values) > 1 else None

    @property
    def agreement(self) -> float | None:
        """The mean adjusted Rand index between two runs; None of a single one."""
        pairs = list(combinations([run.fitted.upright for run in self.runs], 2))
        return mean(adjusted_rand_index(a, b) for a, b in pairs) if pairs else None


@dataclass(frozen=True)
class ClusterRunsReport:
    """What was found.

    Attributes:
        groups: the runs, those of one method and settings together.
        labels: ``(N,)`` classes of the fitted shapes, or None.
        class_names: of the labels; empty without.
        about: what was tested on what, in words.
        settings: how.
        notes: how numbers are defined, a sentence or a few each.
    """

    groups: tuple[RunGroup, ...]
    labels: Ints | None
    class_names: tuple[str, ...]
    about: Mapping[str, str]
    settings: Mapping[str, int | float | str]
    notes: tuple[str, ...]

    def measured(self, part: str) -> list[str]:
        """Returns which measures a part has, in the order in which they were made."""
        told = (run.measures.get(part, {}) for group in self.groups for run in group.runs)
        return list(dict.fromkeys(name for measures in told for name in measures))

    def to_json(self) -> str:
        """Returns everything but features and assignments as JSON."""
        told = {
            "about": dict(self.about),
            "settings": dict(self.settings),
            "notes": list(self.notes),
            "groups": [self._told(group) for group in self.groups],
        }
        return json.dumps(told, indent=2, ensure_ascii=False)

    def _told(self, group: RunGroup) -> dict[str, Any]:
        means = {
            part: {name: group.mean_and_deviation(part, name) for name in self.measured(part)}
            for part in PARTS
            if self.measured(part)
        }
        summary = {"mean_and_deviation": means, "agreement_of_seeds": group.agreement}
        return {"title": group.title, **summary, "runs": [*_runs(group)]}


def _runs(group: RunGroup) -> Iterator[dict[str, Any]]:
    for run in group.runs:
        sizes = np.bincount(run.fitted.upright, minlength=run.n_clusters)
        yield {
            "name": run.name,
            "seed": run.seed,
            "clusters": run.n_clusters,
            "sizes": sizes.tolist(),
            "measures": {part: dict(told) for part, told in run.measures.items()},
        }
