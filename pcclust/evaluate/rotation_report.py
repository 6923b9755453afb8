"""What `pcclust.evaluate.rotation` found: predictions, the measures that follow, JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pcclust._notebook import InNotebooks
from pcclust.evaluate.failures import Failure
from pcclust.evaluate.predictions import Predictions
from pcclust.evaluate.saved import told_by, told_in_lines

# How a model was trained: on shapes as they stand, turned about the up axis, or turned in space.
Trained = Literal["upright", "z", "SO3"]


def protocol(trained: str, tested: str) -> str:
    """Returns the name of a protocol, e.g. "z/SO3"; "SO3" alone if training is not known."""
    return f"{trained}/{tested}" if trained else tested


@dataclass(frozen=True, eq=False, repr=False)
class RotationReport(InNotebooks):
    """What a model predicted of S shapes in many orientations.

    Attributes:
        about: the model and the data, in words.
        settings: how it was tested.
        class_names: C names.
        names: of the shapes.
        labels: ``(S,)`` int64.
        upright: by training orientation ("" if not known), the predictions ``(S,)`` for upright
            shapes.
        predictions: by protocol, e.g. "z/SO3" ("SO3" if training is not known), ``(R, S)``.
        changes: by test orientation, ``(R, S)``, how far the output moves from that of the upright
            shape: the distance in units of the upright output's norm.
        tilt_degrees: ``(T,)`` angles of tilt from upright.
        tilted: ``(S',)`` the shapes that were tilted.
        tilt_predictions: by training orientation, ``(T, S')``.
        failures: some wrong predictions under SO3, with the shapes as the model saw them.
        near_ties: ``(S,)`` bool, where rounding may choose what the output is made of, see
            `pcclust.nn.ClusterNet.near_ties`; None if the model does not say.
    """

    KIND: ClassVar[str] = "rotation"

    about: Mapping[str, str]
    settings: Mapping[str, int | float | str]
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    upright: Mapping[str, NDArray[np.int64]]
    predictions: Mapping[str, NDArray[np.int64]]
    changes: Mapping[str, NDArray[np.float64]]
    tilt_degrees: NDArray[np.float64]
    tilted: NDArray[np.int64]
    tilt_predictions: Mapping[str, NDArray[np.int64]]
    failures: tuple[Failure, ...] = ()
    near_ties: NDArray[np.bool_] | None = None

    def __repr__(self) -> str:
        lines = [f"{len(self.labels):,} shapes of {len(self.class_names)} classes"]
        for name in self.predictions:
            found, moved = self.under(name), self.changes[name.rpartition("/")[2]].max()
            lines.append(
                f"{name}: accuracy {100 * found.mean:.1f} ± {100 * found.std:.1f} %, consistency "
                f"{100 * found.consistency:.1f} %, outputs change by {moved:.2g} at most"
            )
        return told_in_lines("RotationReport", self.about, lines)

    def under(self, protocol: str) -> Predictions:
        """Returns the predictions under a protocol, with accuracy, consistency and so on.

        Raises:
            ValueError: the protocol was not tested.
        """
        if protocol not in self.predictions:
            raise ValueError(f"no protocol {protocol!r} among {', '.join(self.predictions)}")
        return Predictions(self.predictions[protocol], self.labels, len(self.class_names))

    def tilt_accuracy(self, trained: str) -> NDArray[np.float64]:
        """Returns the accuracy at every angle of tilt, ``(T,)``, by training orientation."""
        right = self.tilt_predictions[trained] == self.labels[self.tilted]
        return right.mean(axis=1) if len(right) else np.empty(0)

    def change_by_ties(self) -> dict[bool, float]:
        """Returns the largest change of shapes with and of those without near ties, where any."""
        if self.near_ties is None:
            return {}
        most = np.concatenate(list(self.changes.values())).max(axis=0)
        return {
            near: float(most[self.near_ties == near].max())
            for near in (True, False)
            if (self.near_ties == near).any()
        }

    def to_json(self) -> str:
        """Returns everything as JSON: the measures, and the predictions that they follow from."""
        told: dict[str, Any] = {"kind": self.KIND, "measures": self._measures()}
        for name, value in self.__dict__.items():
            told[name] = _plain(value)
        told["failures"] = [failure.to_dict() for failure in self.failures]
        return json.dumps(told, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "RotationReport":
        """Returns the report that `to_json` told of.

        Raises:
            ValueError: not the JSON of such a report.
        """
        told = told_by(text, cls.KIND)
        for name in ("labels", "tilted"):
            told[name] = np.array(told[name], np.int64)
        for name in ("upright", "predictions", "tilt_predictions"):
            told[name] = {key: np.array(value, np.int64) for key, value in told[name].items()}
        told["changes"] = {key: np.array(value) for key, value in told["changes"].items()}
        told["tilt_degrees"] = np.array(told["tilt_degrees"], np.float64)
        if told.get("near_ties") is not None:
            told["near_ties"] = np.array(told["near_ties"], bool)
        told["failures"] = tuple(map(Failure.from_dict, told["failures"]))
        told["class_names"], told["names"] = tuple(told["class_names"]), tuple(told["names"])
        return cls(**told)

    def _measures(self) -> dict[str, Any]:
        measures: dict[str, Any] = {}
        for name in self.predictions:
            found, changes = self.under(name), self.changes[name.rpartition("/")[2]]
            measures[name] = {
                "accuracy": found.mean,
                "std": found.std,
                "rounds": found.accuracies.tolist(),
                "worst": found.worst,
                "class_mean": found.class_mean,
                "per_class": [None if np.isnan(x) else float(x) for x in found.per_class],
                "consistency": found.consistency,
                "always_right": found.always_right,
                "change_median": float(np.median(changes)),
                "change_max": float(changes.max()),
            }
        for name, predicted in self.upright.items():
            measures[protocol(name, "upright")] = {
                "accuracy": float((predicted == self.labels).mean())
            }
        for name in self.tilt_predictions:
            measures[protocol(name, "tilt")] = {"accuracy": self.tilt_accuracy(name).tolist()}
        return measures


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(some) for key, some in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value
