"""What `pcclust.evaluate.linear` found: accuracies of every probe, JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pcclust._notebook import InNotebooks
from pcclust.evaluate.saved import told_by, told_in_lines

# What reports that were written before call differently.
_NOW = {
    "share": "fraction",
    "strengths": "Cs",
    "votes": "azimuths",
    "draws": "repeats",
    "label_shares": "label_fractions",
}
# By their names in JSON, what tables call them.
PROBES = {
    "linear_svm": "linear SVM",
    "kernel_map": "kernel map",
    "graph_svm": "SVM with spectral map",
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
        accuracies: ``(T, R)`` of T classifiers (one, or one an azimuth or repeat) in R rounds.
        class_means: ``(T,)``, the mean accuracy of the classes, over the rounds.
        fraction: of the training labels.
        Cs: the C of each classifier; empty where there is none to tell.
    """

    probe: str
    protocol: str
    labels: int
    accuracies: NDArray[np.float64]
    class_means: NDArray[np.float64]
    fraction: float = 1.0
    Cs: tuple[float, ...] = ()

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
        return {**self.__dict__, **arrays, "Cs": list(self.Cs)}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> "ProbeScores":
        """Returns the scores that `to_dict` told of."""
        arrays = {name: np.array(told[name]) for name in ("accuracies", "class_means")}
        now = {_NOW.get(name, name): value for name, value in {**told, **arrays}.items()}
        return cls(**{**now, "Cs": tuple(now["Cs"])})


@dataclass(frozen=True, repr=False)
class LinearReport(InNotebooks):
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

    def __repr__(self) -> str:
        lines = [f"{self.shapes:,} shapes, {self.learned:,} to learn from"]
        for found in self.scores:
            labels = "" if found.fraction == 1 else f" with {100 * found.fraction:g} % of labels"
            probe = PROBES.get(found.probe, found.probe)
            lines.append(f"{found.protocol}, {probe}{labels}: {100 * found.mean:.1f} %")
        return told_in_lines("LinearReport", self.about, lines)

    @property
    def protocols(self) -> tuple[str, ...]:
        """The names of the protocols."""
        return tuple(dict.fromkeys(found.protocol for found in self.scores))

    def score(self, protocol: str, probe: str = "linear_svm", fraction: float = 1) -> ProbeScores:
        """Returns how well a probe did.

        Args:
            protocol: e.g. "z/SO3".
            probe: a key of `PROBES`.
            fraction: of the training labels.

        Raises:
            ValueError: there is no such one.
        """
        for found in self.scores:
            if (found.protocol, found.probe, found.fraction) == (protocol, probe, fraction):
                return found
        known = dict.fromkeys(f"{s.probe} {s.protocol} {s.fraction:g}" for s in self.scores)
        raise ValueError(f"no {probe} {protocol} {fraction:g} among {'; '.join(known)}")

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
        told["settings"] = {_NOW.get(key, key): value for key, value in told["settings"].items()}
        told["scores"] = tuple(map(ProbeScores.from_dict, told["scores"]))
        return cls(**told)

    def _measures(self) -> dict[str, Any]:
        measures: dict[str, Any] = {protocol: {} for protocol in self.protocols}
        for found in self.scores:
            name = (
                found.probe
                if found.fraction == 1
                else f"{found.probe}, {found.fraction:g} of labels"
            )
            measures[found.protocol][name] = {
                "accuracy": found.mean,
                "std": found.std,
                "class_mean": found.class_mean,
            }
        return measures
