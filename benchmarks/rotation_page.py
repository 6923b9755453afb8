"""Puts evaluated runs of ``pcclust train`` side by side, beside the published values.

python -m benchmarks.rotation_page runs/* --out benchmarks/ROTATION.md

Each run is a folder of ``pcclust train`` whose ``report`` is that of ``pcclust evaluate rotation``.
"""

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from tyro.conf import Positional

from benchmarks.machine import processor
from benchmarks.report import put, table
from pcclust.evaluate.rotation_report import RotationReport
from pcclust.methods.classification import ClassificationConfig
from pcclust.nn.weights import read_card
from pcclust.report.table import percent

ORDER = ("pointnet", "dgcnn", "clusternet")
NAMES = {"pointnet": "PointNet", "dgcnn": "DGCNN", "clusternet": "ClusterNet"}
CLOSE = 1e-4
PROTOCOLS = ("z/z", "z/SO3", "SO3/SO3")
# Chen et al. (2019) and the rotation literature after it; z/SO3 of PointNet is a rounded value.
PUBLISHED = {
    "pointnet": ("89.2", "16", "75.5"),
    "dgcnn": ("92.2", "20.6", "81.1"),
    "clusternet": ("87.1", "87.1", "87.1"),
}


@dataclass(frozen=True)
class Settings:
    """What to show.

    Attributes:
        runs: folders of runs.
        how: how the runs shared the machine, in a sentence.
        out: the page to write; printed if None.
    """

    runs: Annotated[tuple[Path, ...], Positional]
    how: str = ""
    out: Path | None = None


@dataclass(frozen=True)
class Run:
    """A training and what its evaluation found."""

    card: dict[str, Any]
    report: RotationReport
    validation: float

    @classmethod
    def read(cls, path: Path) -> "Run":
        """Reads the folder of a run."""
        text = (path / "report" / "rotation.json").read_text("utf-8")
        lines = (path / "metrics.jsonl").read_text("utf-8").splitlines()
        validations = [line["val_accuracy"] for line in map(json.loads, lines) if "epoch" in line]
        return cls(read_card(path), RotationReport.from_json(text), validations[-1])

    @property
    def model(self) -> str:
        """The backbone."""
        return str(self.card["model"])

    @property
    def rotation(self) -> str:
        """How shapes were turned in training."""
        return str(self.card["config"]["rotation"])

    @property
    def name(self) -> str:
        """A name for the folder of the run."""
        return f"runs/{self.card['config']['dataset']}-{self.model}-{self.rotation}"

    def commands(self) -> list[str]:
        """Returns the commands that make the run and its report."""
        config = self.card["config"]
        usual = asdict(ClassificationConfig(dataset=config["dataset"]))
        # Old cards lack the newer settings, which they had as they are by default.
        changed = {name: config.get(name, value) for name, value in usual.items()}
        options = [
            word
            for name, value in changed.items()
            if value != usual[name] and name != "model"
            for word in (f"--{name.replace('_', '-')}", *_words(value))
        ]
        train = ["pcclust", "train", config["dataset"], "--model", self.model, *options]
        test = ["pcclust", "evaluate", "rotation", self.name, "--report", f"{self.name}/report"]
        return [shlex.join([*train, "--out", self.name]), shlex.join(test)]


def _words(value: object) -> list[str]:
    """Returns a setting as the words of a command line that follow its name."""
    if isinstance(value, bool):
        return []
    if isinstance(value, dict):
        return [f"{name}={json.dumps(given)}" for name, given in value.items()]
    return [str(value)]


def page(runs: list[Run], how: str) -> str:
    """Returns the page in Markdown."""
    runs = sorted(runs, key=lambda run: (ORDER.index(run.model), run.rotation != "z"))
    shapes = len(runs[0].report.labels)
    rounds = runs[0].report.settings["rotations"]
    commands = "\n".join(line for run in runs for line in run.commands())
    parts = [
        "# Turned shapes",
        f"ModelNet40, 1,024 points, {shapes:,} test shapes, each in {rounds} seeded turns: about "
        "the up axis (z) or uniform in space (SO3). Accuracies are in %, mean ± standard deviation "
        "of the rounds. A training sees no test shape; nothing was chosen by these numbers. Lines "
        "in italics are published values, which took far longer trainings.",
        table(("", *PROTOCOLS), _accuracies(runs)),
        "ClusterNet's one training serves all three: its output does not turn with the shape, so "
        "training on turned shapes is the same training.",
        "## The same answer whichever way it is turned",
        "*Consistency*: the fraction of shapes that get one class in all turns in space. *Worst*:"
        " the accuracy of the worst round. *Change*: how far the output moves, in units of its "
        "norm, and for how many of all shapes and turns that is within 1e-4. ClusterNet's moves "
        "further where neighbours or clusters are equally far, so that rounding decides between "
        "them.",
        table(
            ("", "tested on", "consistency", "worst", "change: median", "largest", "≤ 1e-4"),
            _steadiness(runs),
        ),
        "## Tilt",
        "Accuracy of shapes tilted from upright by so many degrees, after a random turn about "
        "the up axis.",
        table(("trained on", *_angles(runs[0])), _tilts(runs)),
        "## Trainings",
        f"On {processor()}. {how}".strip(),
        table(
            ("", "parameters", "epochs", "precision", "seed", "validation", "minutes"),
            [_training(run) for run in runs],
        ),
        "## Commands",
        f"With `PCCLUST_DATA` naming the folder of ModelNet40; `--resume` goes on with a run that "
        f"was cut short.\n\n```\n{commands}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _accuracies(runs: list[Run]) -> list[list[str]]:
    rows = []
    for model in ORDER:
        mine = [run for run in runs if run.model == model]
        if not mine:
            continue
        row = []
        for name in PROTOCOLS:
            found = [run.report for run in mine if name in run.report.predictions]
            same = model == "clusternet" and not found
            answers = (found or [mine[0].report])[0].under("z/SO3" if same else name)
            row.append(f"{percent(answers.mean)} ± {percent(answers.std)}")
        rows += [[NAMES[model], *row], ["*published*", *(f"*{x}*" for x in PUBLISHED[model])]]
    return rows


def _steadiness(runs: list[Run]) -> list[list[str]]:
    rows = []
    for run in runs:
        for name in run.report.predictions:
            trained, tested = name.split("/")
            answers, changes = run.report.under(name), run.report.changes[tested]
            moved = [f"{x:.1g}" for x in (np.median(changes), changes.max())]
            moved.append(percent((changes <= CLOSE).mean()))
            shares = map(percent, (answers.consistency, answers.worst))
            rows.append([f"{NAMES[run.model]}, {trained}", tested, *shares, *moved])
    return rows


def _angles(run: Run) -> list[str]:
    return [f"{angle:.0f}°" for angle in run.report.tilt_degrees]


def _tilts(runs: list[Run]) -> list[list[str]]:
    return [
        [f"{NAMES[run.model]}, {trained}", *map(percent, run.report.tilt_accuracy(trained))]
        for run in runs
        for trained in run.report.tilt_predictions
    ]


def _training(run: Run) -> list[str]:
    card, config = run.card, run.card["config"]
    return [
        f"{NAMES[run.model]}, {run.rotation}",
        f"{card['parameters']:,}",
        f"{card['epoch']} of {config['epochs']}",
        config["precision"],
        str(config["seed"]),
        percent(run.validation),
        f"{card['seconds'] / 60:.0f}",
    ]


def main(settings: Settings) -> None:
    """Writes or prints the page."""
    put(page([Run.read(path) for path in settings.runs], settings.how), settings.out)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
