"""What `pcclust.evaluate.linear` found: accuracies of every probe, tables, JSON."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pcclust.evaluate.rotation_report import percent
from pcclust.report.page import Table, about_table, told_by

# By their names in JSON, what tables call them.
PROBES = {
    "linear_svm": "linear SVM",
    "kernel_map": "SVM on kernel map",
    "linear_svm_c1": "linear SVM, C = 1",
    "rbf_svc": "RBF SVC",
    "weighted_knn": "weighted kNN",
}


@dataclass(frozen=True, eq=False)
class ProbeScores:
    """How well one kind of classifier knows the test shapes under one protocol.

    Attributes:
        probe: a key of `PROBES`.
        protocol: e.g. "z/SO3".
        labels: of how many training shapes the label was known.
        accuracies: ``(T, R)`` of T trained classifiers (one, or one a vote or draw) in R rounds.
        class_means: ``(T,)``, the mean accuracy of the classes, over the rounds.
        share: of the training labels.
        strengths: the C of each classifier; empty where there is none to tell.
    """

    probe: str
    protocol: str
    labels: int
    accuracies: NDArray[np.float64]
    class_means: NDArray[np.float64]
    share: float = 1.0
    strengths: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """The accuracy, mean over classifiers and rounds."""
        return float(self.accuracies.mean())

    @property
    def std(self) -> float | None:
        """Sample standard deviation over the classifiers, or of one over its rounds."""
        several = self.accuracies.mean(axis=1) if len(self.accuracies) > 1 else self.accuracies[0]
        return float(several.std(ddof=1)) if len(several) > 1 else None

    @property
    def class_mean(self) -> float:
        """Mean accuracy of the classes, over classifiers and rounds."""
        return float(self.class_means.mean())

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as JSON can hold it."""
        arrays = {name: getattr(self, name).tolist() for name in ("accuracies", "class_means")}
        return {**self.__dict__, **arrays, "strengths": list(self.strengths)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> "ProbeScores":
        """Returns the scores that `to_dict` told of."""
        arrays = {name: np.array(told[name]) for name in ("accuracies", "class_means")}
        return cls(**{**told, **arrays, "strengths": tuple(told["strengths"])})


@dataclass(frozen=True)
class LinearReport:
    """What classifiers make of fixed features.

    Attributes:
        about: the model and the data, in words.
        settings: how it was tested.
        shapes: how many were tested.
        learned: how many were there to train with.
        scores: of every probe under every protocol.
    """

    KIND: ClassVar[str] = "linear"

    about: Mapping[str, str]
    settings: Mapping[str, int | float | str]
    shapes: int
    learned: int
    scores: tuple[ProbeScores, ...]

    @property
    def protocols(self) -> tuple[str, ...]:
        """The names of the protocols."""
        return tuple(dict.fromkeys(found.protocol for found in self.scores))

    def score(self, protocol: str, probe: str = "linear_svm", share: float = 1) -> ProbeScores:
        """Returns how well a probe did.

        Args:
            protocol: e.g. "z/SO3".
            probe: a key of `PROBES`.
            share: of the training labels.

        Raises:
            ValueError: there is no such one.
        """
        for found in self.scores:
            if (found.protocol, found.probe, found.share) == (protocol, probe, share):
                return found
        known = dict.fromkeys(f"{s.probe} {s.protocol} {s.share:g}" for s in self.scores)
        raise ValueError(f"no {probe} {protocol} {share:g} among {'; '.join(known)}")

    def summary(self) -> Table:
        """Returns the accuracies of all probes that had all labels."""
        return self._table(
            f"Accuracy in %: {self.learned:,} shapes to train with, {self.shapes:,} to test",
            _accuracy,
        )

    def class_mean_table(self) -> Table:
        """Returns the class-mean accuracies of these probes."""
        return self._table("Class-mean accuracy in %", lambda found: percent(found.class_mean))

    def few_labels_table(self) -> Table:
        """Returns the accuracies of the linear machine that had few labels."""
        few = [found for found in self.scores if found.share < 1]
        rows = {found.share: f"{100 * found.share:g} % ({found.labels:,})" for found in few}
        cells = [
            [title, *(_accuracy(self.score(p, share=share)) for p in self.protocols)]
            for share, title in rows.items()
        ]
        caption = f"Linear SVM with few labels, accuracy in %: {self.settings['draws']} draws"
        return Table(["labels", *self.protocols], cells, caption)

    def tables(self) -> list[Table]:
        """Returns what to show first: all labels, and few labels where that was tested."""
        few = any(found.share < 1 for found in self.scores)
        return [self.summary(), *([self.few_labels_table()] if few else [])]

    def notes(self) -> list[str]:
        """Returns sentences on how the numbers are defined."""
        votes = int(self.settings["votes"])
        return [
            "“z” turns a shape about its up axis, “SO3” anyhow; “z/SO3” was trained on the one "
            "and tested on the other. “Upright” are shapes as they stand in the data.",
            "± is the sample standard deviation over the rounds of turns; with few labels, over "
            "the draws.",
            "Linear SVM: standardised features, C by 5-fold cross-validation on the training "
            "shapes, with few labels on those that have one. C = 1: features as they are.",
            "Kernel map: a Nyström map, fitted on the training shapes without their labels, then "
            "the linear SVM; it is linear on what the map makes of the features, not on them.",
            "RBF SVC: standardised features, gamma = 1 / features, C = 1. ContrastNet's script "
            "takes features as they are."
            + f" Upright: mean ± deviation over {votes} turns of all shapes."
            * (votes > 1),
        ]

    def to_markdown(self) -> str:
        """Returns the tables and notes as Markdown."""
        about = about_table(self.about, self.settings)
        tables = [table.markdown() for table in (*self.tables(), self.class_mean_table(), about)]
        notes = "\n".join(f"- {note}" for note in self.notes())
        return "# Frozen features\n\n" + "\n\n".join([*tables[:-1], notes, tables[-1]]) + "\n"

    def to_json(self) -> str:
        """Returns everything as JSON."""
        told = {"kind": self.KIND, "measures": self._measures(), **self.__dict__}
        told["scores"] = [found.to_dict() for found in self.scores]
        return json.dumps(told, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "LinearReport":
        """Returns the report that `to_json` told of.

        Raises:
            ValueError: not the JSON of such a report.
        """
        told = told_by(text, cls.KIND)
        told["scores"] = tuple(map(ProbeScores.from_dict, told["scores"]))
        return cls(**told)

    def _table(self, caption: str, cell: Callable[[ProbeScores], str]) -> Table:
        probes = dict.fromkeys(found.probe for found in self.scores)
        rows = [
            [PROBES[name], *(cell(self.score(protocol, name)) for protocol in self.protocols)]
            for name in probes
        ]
        return Table(["probe", *self.protocols], rows, caption)

    def _measures(self) -> dict[str, Any]:
        measures: dict[str, Any] = {protocol: {} for protocol in self.protocols}
        for found in self.scores:
            name = found.probe if found.share == 1 else f"{found.probe}, {found.share:g} of labels"
            measures[found.protocol][name] = {
                "accuracy": found.mean,
                "std": found.std,
                "class_mean": found.class_mean,
            }
        return measures


def _accuracy(found: ProbeScores) -> str:
    spread = "" if found.std is None else f" ± {percent(found.std)}"
    return percent(found.mean) + spread
