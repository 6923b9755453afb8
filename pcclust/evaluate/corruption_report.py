"""What `pcclust.evaluate.corruption` found: accuracies, mCE and RmCE, JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

from pcclust._notebook import InNotebooks
from pcclust.data.corruptions import CorruptionScores, Kind, corruption_scores
from pcclust.evaluate.saved import told_by, told_in_lines


@dataclass(frozen=True, repr=False)
class CorruptionReport(InNotebooks):
    """The accuracy of a model on damaged shapes.

    Attributes:
        about: the model and the data, in words.
        settings: how it was tested.
        shapes: how many there are.
        clean: the accuracy without damage.
        accuracies: of each corruption, the accuracy at levels 0 to 4.
    """

    KIND: ClassVar[str] = "corruption"

    about: Mapping[str, str]
    settings: Mapping[str, int | float | str]
    shapes: int
    clean: float
    accuracies: Mapping[Kind, list[float]]

    def __repr__(self) -> str:
        scores = self.scores
        lines = [
            f"{self.shapes:,} shapes, {100 * self.clean:.1f} % right without damage",
            f"mCE {scores.mce:.3f}, RmCE {scores.rmce:.3f}, mOA {100 * scores.moa:.1f} %",
        ]
        return told_in_lines("CorruptionReport", self.about, lines)

    @property
    def scores(self) -> CorruptionScores:
        """CE, RCE and their means, against the published DGCNN, rounded as the benchmark does."""
        return corruption_scores(self.clean, self.accuracies)

    def to_json(self) -> str:
        """Returns everything as JSON."""
        told = {"kind": self.KIND, "measures": self.scores._asdict(), **asdict(self)}
        return json.dumps(told, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "CorruptionReport":
        """Returns the report that `to_json` told of.

        Raises:
            ValueError: not the JSON of such a report.
        """
        told = told_by(text, cls.KIND)
        return cls(**told)
