"""Puts evaluated encoders side by side: linear probes, few labels, clusters.

python -m benchmarks.pretraining_page "untrained=out/untrained" "ContrastNet=out/contrastnet" \
    --runs runs/modelnet40-contrastnet --out benchmarks/PRETRAINING.md

Each folder is a report of ``pcclust evaluate linear``; what ``pcclust cluster`` wrote into folders
in it is shown, too.
"""

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from benchmarks.machine import processor
from benchmarks.report import put, table
from pcclust.evaluate.linear_report import PROBES, LinearReport
from pcclust.evaluate.rotation_report import percent
from pcclust.nn.weights import read_card

# Of methods.md, section 10: linear machines on features of upright shapes, in %.
PUBLISHED = (
    ("ContrastNet + ClusterNet (Zhang and Zhu, 2019)", "ModelNet40", "86.8"),
    ("ContrastNet + ClusterNet (Zhang and Zhu, 2019)", "ModelNet10", "93.8"),
)


@dataclass(frozen=True)
class Settings:
    """What to show.

    Attributes:
        reports: NAME=FOLDER, what an encoder is called and where its report is.
        runs: folders of pcclust pretrain, told of under "Trainings".
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


def page(encoders: list[Encoder], cards: list[dict[str, Any]], how: str) -> str:
    """Returns the page in Markdown."""
    parts = [
        "# What features learned without labels are worth",
        "Encoders are frozen. z turns shapes about their up axis, SO3 anyhow; z/SO3 was trained on "
        "the one and tested on the other. Accuracies are in %, mean ± standard deviation over the "
        "rounds of turns, with few labels over the draws. C of the linear machine is chosen by "
        "cross-validation on training shapes; nothing was chosen by test shapes.",
    ]
    for data in dict.fromkeys(encoder.data for encoder in encoders):
        mine = [encoder for encoder in encoders if encoder.data == data]
        parts += [f"## {data.replace('modelnet', 'ModelNet')}", *_sections(mine)]
    published = "\n".join(f"- {name}: {value} % on {data}" for name, data, value in PUBLISHED)
    commands = dict.fromkeys(line for encoder in encoders for line in encoder.commands())
    parts += [
        "## Published",
        f"Linear machines on upright shapes, after far longer trainings:\n\n{published}",
        "## Trainings",
        f"On {processor()}. {how}".strip(),
        table(("", "encoder", "parameters", "epochs", "seed", "minutes"), map(_training, cards)),
        "## Commands",
        "```\n" + "\n".join([*map(_command, cards), *commands]) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _sections(encoders: list[Encoder]) -> list[str]:
    """Returns the tables of one dataset."""
    protocols = encoders[0].linear.protocols
    probes = dict.fromkeys(s.probe for e in encoders for s in e.linear.scores if s.share == 1)
    parts = [
        table(
            ("features", "probe", *protocols),
            [
                [encoder.name, PROBES[probe], *(_score(encoder, p, probe) for p in protocols)]
                for probe in probes
                for encoder in encoders
            ],
        )
    ]
    shares = sorted({s.share for e in encoders for s in e.linear.scores if s.share < 1})
    if shares:
        head = ("linear SVM with few labels, z/SO3", *(f"{100 * s:g} %" for s in shares))
        rows = [
            [e.name, *(_score(e, "z/SO3", "linear_svm", share) for share in shares)]
            for e in encoders
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


def _training(card: dict[str, Any]) -> list[str]:
    config = card["config"]
    return [
        f"{card['method']} on {card['data']['dataset']}",
        str(card["model"]),
        f"{card['parameters']:,}",
        f"{card['epoch']} of {config['epochs']}",
        str(card["seed"]),
        f"{card['seconds'] / 60:.0f}",
    ]


def _command(card: dict[str, Any]) -> str:
    first = card["pipeline"]["contrastnet"]
    options = ["--epochs", str(first["epochs"]), "--precision", first["precision"]]
    rounds = ["--rounds", str(card["pipeline"]["rounds"])]
    name = f"runs/{first['dataset']}-contrastnet"
    return shlex.join(
        ["pcclust", "pretrain", "contrastnet", first["dataset"], *options, *rounds, "--out", name]
    )


def main(settings: Settings) -> None:
    """Writes or prints the page."""
    encoders = [Encoder.read(told) for told in settings.reports]
    put(page(encoders, [read_card(run) for run in settings.runs], settings.how), settings.out)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
