"""What `pcclust.evaluate.corruption` found: accuracies, mCE and RmCE, tables, JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

from pcclust.data.corruptions import (
    DGCNN,
    DGCNN_CLEAN,
    KINDS,
    LEVELS,
    CorruptionScores,
    Kind,
    corruption_scores,
)
from pcclust.evaluate.rotation_report import percent
from pcclust.report.page import Table, about_table, told_by


@dataclass(frozen=True)
class CorruptionReport:
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

    @property
    def scores(self) -> CorruptionScores:
        """CE, RCE and their means, against the published DGCNN, rounded as the benchmark does."""
        return corruption_scores(self.clean, self.accuracies)

    def summary(self) -> Table:
        """Returns one row per corruption and one of the means."""
        scores = self.scores
        levels = [str(level) for level in LEVELS]
        header = ["corruption", *levels, "OA", "CE", "RCE", "DGCNN"]
        dash = ["–"] * len(levels)
        rows = [["none", *dash, percent(self.clean), "–", "–", percent(DGCNN_CLEAN)]]
        for kind in KINDS:
            found = [*map(percent, self.accuracies[kind]), percent(scores.accuracy[kind])]
            relative = [f"{scores.ce[kind]:.3f}", f"{scores.rce[kind]:.3f}"]
            rows.append([kind.replace("_", " "), *found, *relative, percent(DGCNN[kind])])
        published = percent(sum(DGCNN.values()) / len(DGCNN))
        means = [percent(scores.moa), f"{scores.mce:.3f}", f"{scores.rmce:.3f}", published]
        rows.append(["mean", *dash, *means])
        caption = (
            f"Accuracy in % of {self.shapes:,} shapes at levels 0 to 4, and its mean OA; "
            "the last row has mOA, mCE and RmCE"
        )
        return Table(header, rows, caption)

    def tables(self) -> list[Table]:
        """Returns what to show first."""
        return [self.summary()]

    def to_markdown(self) -> str:
        """Returns the tables as Markdown."""
        tables = [self.summary(), about_table(self.about, self.settings)]
        return "# Corruptions\n\n" + "\n\n".join(table.markdown() for table in tables) + "\n"

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
