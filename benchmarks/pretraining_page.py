"""Puts evaluated encoders side by side: linear probes, few labels, clusters.

python -m benchmarks.pretraining_page "untrained=out/untrained" "ContrastNet=out/contrastnet" \
    --runs runs/modelnet40-contrastnet --out out/pretraining.md

Each folder is a report of ``pcclust evaluate linear``; what ``pcclust cluster`` wrote into folders
in it is shown, too.
"""

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from benchmarks.machine import processor
from benchmarks.report import put, table
from pcclust.evaluate.linear_report import PROBES, LinearReport
from pcclust.evaluate.probes import PROTOCOLS
from pcclust.evaluate.rotation_report import protocol
from pcclust.methods.contrastnet_presets import PRESETS, contrastnet_preset
from pcclust.nn.weights import read_card
from pcclust.report.table import percent

# Of methods.md, section 10: linear classifiers on features of upright shapes, in %.
PUBLISHED = (
    ("ContrastNet + ClusterNet (Zhang and Zhu, 2019)", "ModelNet40", "86.8"),
    ("ContrastNet + ClusterNet (Zhang and Zhu, 2019)", "ModelNet10", "93.8"),
)

ALL_PROTOCOLS = [protocol(seen, test) for seen, tests in PROTOCOLS.items() for test in tests]

CARDS = "https://github.com/pcclust/pcclust/blob/main/pcclust/weights/README.md"
SHIPPED = (
    f"What is named as in [pcclust/weights]({CARDS}) comes with pcclust; its card there has the "
    "settings, the data and the time of its training."
)
TRAINING = ("", "encoder, parameters", "precision", "epochs", "seed", "minutes", "at the end")


@dataclass(frozen=True)
class Settings:
    """What to show.

    Attributes:
        reports: NAME=FOLDER, what an encoder is called and where its report is.
        runs: folders of pcclust pretrain, told of under "Trainings"; without any the page points
            to the cards of the weights that come with pcclust.
        how: how the runs shared the machine, in a sentence.
        out: the page to write; printed if None.
    """

    reports: Annotated[tuple[str, ...], Positional]
    runs: tuple[Path, ...] = ()
    how: str = ""
    out: Path | None = None


@dataclass(frozen=True)
class Encoder:
    """What was found of an encoder's features.

    Attributes:
        name: what the page calls it.
        linear: the probes.
        clusterings: what `pcclust cluster` wrote, in the order of the folders' names.
    """

    name: str
    linear: LinearReport
    clusterings: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, told: str) -> "Encoder":
        """Reads the folder of ``NAME=FOLDER``."""
        name, equals, folder = told.partition("=")
        if not equals:
            raise SystemExit(f"{told!r} is not NAME=FOLDER")
        linear = LinearReport.from_json((Path(folder) / "linear.json").read_text("utf-8"))
        found = sorted(Path(folder).glob("*/report.json"))
        return cls(name, linear, tuple(json.loads(path.read_text("utf-8")) for path in found))

    @property
    def data(self) -> str:
        """What it was tested on."""
        return self.linear.about["data"]

    def commands(self) -> Iterable[str]:
        """Yields the commands that made the reports."""
        yield self.linear.about["command"]
        for clustering in self.clusterings:
            yield clustering["about"]["command"]


def page(encoders: list[Encoder], runs: Sequence[Path], how: str) -> str:
    """Returns the page in Markdown."""
    parts = [
        "# Linear evaluation of features learned without labels",
        "Encoders are frozen. z turns shapes about their up axis, SO3 arbitrarily; z/SO3 was "
        "trained on the one and tested on the other; upright are shapes as they stand. Accuracies"
        " are in %, mean ± standard deviation over the rounds of turns, with few labels over the "
        "draws. C of the linear machine is chosen by cross-validation on training shapes; nothing"
        " was chosen by test shapes.",
    ]
    for data in dict.fromkeys(encoder.data for encoder in encoders):
        mine = [encoder for encoder in encoders if encoder.data == data]
        parts += [f"## {data.replace('modelnet', 'ModelNet')}", *_sections(mine)]
    published = "\n".join(f"- {name}: {value} % on {data}" for name, data, value in PUBLISHED)
    commands = dict.fromkeys(line for encoder in encoders for line in encoder.commands())
    parts += [
        "## Published",
        f"Linear classifiers on upright shapes, after far longer trainings:\n\n{published}",
        "## Trainings",
        f"On {processor()}. {how}".strip() if runs else f"{SHIPPED} {how}".strip(),
        *[table(TRAINING, [row for run in runs for row in _trainings(run)])] * bool(runs),
        "## Commands",
        "```\n" + "\n".join([*map(_command, runs), *commands]) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _sections(encoders: list[Encoder]) -> list[str]:
    """Returns the tables of one dataset."""
    tested = {each for encoder in encoders for each in encoder.linear.protocols}
    protocols = [each for each in ALL_PROTOCOLS if each in tested]
    head = (f"{PROBES['linear_svm']} on features of", *protocols)
    rows = [[e.name, *(_score(e, p, "linear_svm") for p in protocols)] for e in encoders]
    parts = [table(head, rows)]
    scores = [score for encoder in encoders for score in encoder.linear.scores]
    others = dict.fromkeys(s.probe for s in scores if s.probe != "linear_svm")
    if others:
        head = ("z/SO3, other classifiers", *(PROBES[probe] for probe in others))
        rows = [[e.name, *(_score(e, "z/SO3", probe) for probe in others)] for e in encoders]
        parts.append(table(head, rows))
    shares = sorted({s.fraction for s in scores if s.fraction < 1})
    if shares:
        head = ("z/SO3, with few labels", "", *(f"{100 * s:g} %" for s in shares))
        rows = [
            [e.name, PROBES[probe], *(_score(e, "z/SO3", probe, s) for s in shares)]
            for e in encoders
            for probe in dict.fromkeys(s.probe for s in e.linear.scores if s.fraction < 1)
        ]
        parts.append(table(head, rows))
    clustered = [(e, c) for e in encoders for c in e.clusterings]
    if clustered:
        head = ("clusters of", "features", "", "turned", "ACC", "NMI", "ARI")
        parts.append(table(head, [_clustering(*each) for each in clustered]))
    return parts


def _score(encoder: Encoder, protocol: str, probe: str, share: float = 1) -> str:
    try:
        found = encoder.linear.score(protocol, probe, share)
    except ValueError:
        return "–"
    return percent(found.mean) + ("" if found.std is None else f" ± {percent(found.std)}")


def _clustering(encoder: Encoder, told: dict[str, Any]) -> list[str]:
    (method, *_) = told["methods"]
    measured = method["mean_and_deviation"]["measures"]
    values = [
        f"{100 * mean:.1f}" + ("" if deviation is None else f" ± {100 * deviation:.1f}")
        for mean, deviation in (measured[name] for name in ("accuracy", "nmi", "ari"))
    ]
    of = f"{told['shapes']:,} shapes into {told['clusters']}"
    settings = told["settings"]
    made = [f"whitened to {settings['whiten']}"] * bool(settings["whiten"])
    made += ["of length 1"] * settings["l2"]
    turned = told["about"]["rotation"]
    return [encoder.name, ", ".join(made) or "as they are", of, turned, *values]


def _trainings(run: Path) -> Iterator[list[str]]:
    """Yields a row for each stage of a run."""
    name = run.name
    for stage in ["contrastnet", *(f"round{n}/network" for n in range(1, _rounds(run) + 1))]:
        card = read_card(run / stage)
        yield [
            f"{name}, {stage.partition('/')[0]}",
            f"{card['model']}, {card['parameters']:,}",
            card["config"]["precision"],
            f"{card['epoch']} of {card['config']['epochs']}",
            str(card["seed"]),
            f"{card['seconds'] / 60:.0f}",
            ", ".join(
                f"{key.removeprefix('train_')} {value:.3g}"
                for key, value in card["metrics"].items()
            ),
        ]
        name = ""


def _rounds(run: Path) -> int:
    return int(read_card(run)["pipeline"]["rounds"])


def _command(run: Path) -> str:
    """Returns the command of a run: its settings, where they differ from those of a preset."""
    made = read_card(run)["pipeline"]
    dataset = made["contrastnet"]["dataset"]
    given = {}
    for preset in PRESETS:
        there = _flat(asdict(contrastnet_preset(preset, dataset)))
        given[preset] = {k: v for k, v in _flat(made).items() if k in there and there[k] != v}
    preset = min(given, key=lambda name: len(given[name]))
    chosen = [] if preset == next(iter(PRESETS)) else ["--preset", preset]
    options = [word for name, value in given[preset].items() for word in _option(name, value)]
    words = ["pcclust", "pretrain", "contrastnet", dataset, *chosen, *options, "--out", str(run)]
    return shlex.join(words)


def _flat(pipeline: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings by the names of their options."""
    network = {f"network.{name}": value for name, value in pipeline["network"].items()}
    rest = {k: v for k, v in pipeline.items() if k not in ("contrastnet", "network")}
    return {**rest, **pipeline["contrastnet"], **network}


def _option(name: str, value: object) -> list[str]:
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        group, dot, last = dashed.rpartition(".")
        return [f"--{group}{dot}{'' if value else 'no-'}{last}"]
    if isinstance(value, dict):
        return [f"--{dashed}", *(f"{key}={each}" for key, each in value.items())]
    return [f"--{dashed}", str(value)]


def main(settings: Settings) -> None:
    """Writes or prints the page."""
    encoders = [Encoder.read(told) for told in settings.reports]
    put(page(encoders, settings.runs, settings.how), settings.out)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
