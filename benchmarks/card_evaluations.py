"""Puts the numbers of reports onto the card of weights that come with pcclust.

python -m benchmarks.card_evaluations clusternet-pcl-modelnet40 out/pcl-40/linear.json

A report takes the place of an older one of the same kind and data; the weights stay as they are.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.ship_weights import summary
from pcclust._files import write_whole
from pcclust.nn.weights_source import SHIPPED


@dataclass(frozen=True)
class Settings:
    """What is told.

    Attributes:
        name: of the weights.
        reports: JSON files of pcclust evaluate and pcclust cluster, of this encoder.
        folder: of the weights.
    """

    name: Annotated[str, tyro.conf.Positional]
    reports: Annotated[tuple[Path, ...], tyro.conf.Positional]
    folder: Path = SHIPPED


def tell(settings: Settings) -> Path:
    """Writes the card anew and returns its path.

    Raises:
        FileNotFoundError: there is no such card, or no such report.
        ValueError: a file that is no report.
    """
    path = settings.folder / f"{settings.name}.json"
    card = json.loads(path.read_bytes())
    told = [summary(report) for report in settings.reports]
    replaced = [(each["kind"], each["data"]) for each in told]
    kept = [each for each in card["evaluations"] if (each["kind"], each["data"]) not in replaced]
    card["evaluations"] = kept + told
    write_whole(path, json.dumps(card, indent=2, ensure_ascii=False).encode())
    return path


if __name__ == "__main__":
    print(tell(tyro.cli(Settings, description=__doc__)))
