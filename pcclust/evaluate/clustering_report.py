"""What clusterings are worth: the runs of each method, as a table, as Markdown and as JSON."""

import json
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcclust.evaluate.cluster_methods import METHODS
from pcclust.report.page import Table

# By their names in JSON: what tables call them, and whether they are written in per cent.
MEASURES: dict[str, tuple[str, bool]] = {
    "accuracy": ("ACC", True),
    "nmi": ("NMI", True),
    "ari": ("ARI", True),
    "class_mean_accuracy": ("class-mean ACC", True),
    "purity": ("purity", True),
    "silhouette": ("silhouette", False),
    "effective_clusters": ("effective clusters", False),
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
        test_clusters: ``(M,)`` int64 of the held-out shapes; None without them, or where the method
            clusters nothing but what it was fitted on.
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


@dataclass(frozen=True)
class ClusteringReport:
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

    def table(self) -> Table:
        """Returns a measure a row, a method a column: mean ± deviation over the seeds."""
        measured = [method.runs[0] for method in self.methods]
        lines = [(key, False) for key in MEASURES if any(key in run.measures for run in measured)]
        lines += [
            (key, True) for key in MEASURES if any(key in run.test_measures for run in measured)
        ]
        rows = [["seeds", *(str(len(method.runs)) for method in self.methods)]]
        for key, test in lines:
            title = f"test {MEASURES[key][0]}" if test else MEASURES[key][0]
            rows.append([title, *(_cell(method, key, test) for method in self.methods)])
        return Table(["", *(METHODS[method.method].title for method in self.methods)], rows)

    def to_markdown(self) -> str:
        """Returns the table and the notes as Markdown."""
        notes = "\n".join(f"- {note}" for note in self.notes)
        return f"{self.table().markdown()}\n\n{notes}\n"

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


def _cell(method: MethodRuns, key: str, test: bool) -> str:
    if key not in (method.runs[0].test_measures if test else method.runs[0].measures):
        return "–"
    value, deviation = method.mean_and_deviation(key, test=test)
    scale, digits = (100, 1) if MEASURES[key][1] else (1, 1 if key == "effective_clusters" else 3)
    spread = "" if deviation is None else f" ± {scale * deviation:.{digits}f}"
    return f"{scale * value:.{digits}f}{spread}"


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
