"""What `pcclust.evaluate.clustering` found: the runs of each method, JSON."""

import json
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust._notebook import InNotebooks
from pcclust.evaluate.saved import told_in_lines


class Measure(NamedTuple):
    """How tables write a measure: what they call it, whether in per cent, with how many digits."""

    title: str
    percent: bool
    digits: int = 1


# By their names in JSON.
MEASURES: dict[str, Measure] = {
    "accuracy": Measure("ACC", percent=True),
    "nmi": Measure("NMI", percent=True),
    "ari": Measure("ARI", percent=True),
    "class_mean_accuracy": Measure("class-mean ACC", percent=True),
    "purity": Measure("purity", percent=True),
    "silhouette": Measure("silhouette", percent=False, digits=3),
    "size_perplexity": Measure("perplexity of the sizes", percent=False),
    "empty": Measure("empty clusters", percent=False),
    "consistency": Measure("in one cluster however turned", percent=True),
}


@dataclass(frozen=True)
class Run:
    """One clustering.

    Attributes:
        seed: of the method.
        clusters: ``(N,)`` int64 of the shapes it was fitted on.
        measures: by name, on these shapes.
        test_measures: by name, on held-out shapes, with the map of clusters to classes fitted on
            the others; empty without them.
        test_clusters: ``(M,)`` int64 of the held-out shapes; None without them.
    """

    seed: int
    clusters: NDArray[np.int64]
    measures: dict[str, float]
    test_measures: dict[str, float]
    test_clusters: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class MethodRuns:
    """The runs of one method, one for each seed, or a single one where nothing is random.

    Attributes:
        method: its name, a key of `METHODS`.
        runs: in the order of the seeds.
    """

    method: str
    runs: tuple[Run, ...]

    def mean_and_deviation(self, measure: str, *, test: bool = False) -> tuple[float, float | None]:
        """Returns mean and sample standard deviation over the runs; None for the latter of one."""
        chosen = [run.test_measures if test else run.measures for run in self.runs]
        values = [measures[measure] for measures in chosen if measure in measures]
        return mean(values), stdev(values) if len(values) > 1 else None


@dataclass(frozen=True, repr=False)
class ClusteringReport(InNotebooks):
    """What `clustering` found.

    Attributes:
        methods: the runs of each method.
        n_clusters: k.
        n_classes: of the labels, or None.
        space: ``(N, C)`` the features as they were clustered: whitened and of length one where
            that was asked for.
        settings: what determined the result, by name.
        notes: sentences on what was done differently, and how numbers are defined.
        about: what was clustered, in words.
    """

    methods: tuple[MethodRuns, ...]
    n_clusters: int
    n_classes: int | None
    space: NDArray[np.floating]
    settings: dict[str, Any]
    notes: tuple[str, ...]
    about: dict[str, str]

    def __repr__(self) -> str:
        lines = [f"{len(self.space):,} shapes in {self.n_clusters} clusters"]
        for method in self.methods:
            told = [_measure(method, name) for name in method.runs[0].measures]
            lines.append(f"{method.method}: {', '.join(told)}")
        return told_in_lines("ClusteringReport", self.about, lines)

    def to_json(self) -> str:
        """Returns everything but the features and assignments as JSON."""
        return json.dumps(
            {
                "shapes": len(self.space),
                "dimensions": self.space.shape[1],
                "clusters": self.n_clusters,
                "classes": self.n_classes,
                "about": self.about,
                "settings": self.settings,
                "notes": self.notes,
                "methods": [_told(method) for method in self.methods],
            },
            indent=2,
            ensure_ascii=False,
        )


def _measure(method: MethodRuns, name: str) -> str:
    known = MEASURES.get(name, Measure(name, percent=False, digits=3))
    mean_value, _ = method.mean_and_deviation(name)
    scale, unit = (100, " %") if known.percent else (1, "")
    return f"{known.title} {scale * mean_value:.{known.digits}f}{unit}"


def _told(method: MethodRuns) -> dict[str, Any]:
    runs = [
        {
            "seed": run.seed,
            "sizes": np.unique(run.clusters, return_counts=True)[1].tolist(),
            "measures": run.measures,
            "test_measures": run.test_measures,
        }
        for run in method.runs
    ]
    summary = {
        name: {key: method.mean_and_deviation(key, test=test) for key in told}
        for name, test, told in (
            ("measures", False, method.runs[0].measures),
            ("test_measures", True, method.runs[0].test_measures),
        )
    }
    return {"method": method.method, "mean_and_deviation": summary, "runs": runs}
