"""Makes weights that come with pcclust from a finished run of ``pcclust pretrain``.

python -m benchmarks.ship_weights runs/modelnet40 --name clusternet-contrastnet-modelnet40 \
    --evaluation out/rotation.json out/clusters/report.json
"""

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated, Any

import torch
import tyro
from torch import nn

from pcclust.data import open_dataset
from pcclust.data.registry import find_source
from pcclust.data.transforms import UnitSphere
from pcclust.nn._card import Card
from pcclust.nn.backbones import BACKBONES
from pcclust.nn.clusterer import backbone_of
from pcclust.nn.weights import load, save_weights
from pcclust.nn.weights_source import SHIPPED

FURNITURE = Path(__file__).parents[1] / "data" / "furniture.h5"
COMPARED = 16  # shapes
MOST_BYTES = 8_000_000
MOST_CHANGE = 1e-2  # of features, relative to their length, by the rounding of weights
# What the card of weights that come with pcclust says, besides what all cards say.
FIELDS = (
    *("name", "parameters", "num_points", "normalization", "method", "seed", "config", "pipeline"),
    *("data", "evaluations", "rounding_error", "stored_as", "licence"),
)
DATA_FIELDS = ("dataset", "shapes", "sha256", "terms")
PRINCETON = find_source("modelnet40-meshes").terms
TERMS = {"modelnet10": PRINCETON, "modelnet40": PRINCETON}
LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class Settings:
    """What is shipped.

    Attributes:
        run: the folder of a finished run of pcclust pretrain.
        name: MODEL-METHOD-DATA, by which pcclust.load finds it.
        evaluation: JSON files of pcclust evaluate and pcclust cluster, whose numbers the card
            repeats; they are of this encoder.
        terms: under which the data may be used, where we do not know it.
        command: that made the run, for the card.
        out: the folder of weights.
    """

    run: Annotated[Path, tyro.conf.Positional]
    name: str
    evaluation: tuple[Path, ...] = ()
    terms: str | None = None
    command: str | None = None
    out: Path = SHIPPED


def ship(settings: Settings) -> tuple[Path, Path]:
    """Writes the encoder of a run, and its card, as weights that come with pcclust.

    Returns:
        The paths of the weights and of the card.

    Raises:
        FileNotFoundError: there is no run, no weights in it, or no such evaluation.
        ValueError: an unfinished run, a name that does not say what it is, data of unknown terms, a
            file that is no evaluation, a card that names a place of this machine, too large a file,
            or features that the rounding of weights changes.
    """
    model = load(settings.run)
    of_clusters = ("task", "num_clusters", "head")  # only the encoder ships
    card: Card = {k: v for k, v in model.__dict__["card"].items() if k not in of_clusters}
    encoder = backbone_of(model)
    if "pipeline" not in card:
        raise ValueError(f"{settings.run} is no finished run of pcclust pretrain")
    _check_name(settings.name, card)
    card |= {"name": settings.name, "class_names": [], "licence": LICENCE}
    # The run's card has those of its last stage.
    if "contrastnet" in card["pipeline"]:
        card |= {"method": "contrastnet", "seed": card["pipeline"]["contrastnet"]["seed"]}
    card["data"] = card["data"] | {"terms": _terms(settings, card)}
    card["evaluations"] = [summary(path) for path in settings.evaluation]
    if settings.command:
        card["command"] = settings.command
    with tempfile.TemporaryDirectory() as trial:
        weights, _ = save_weights(trial, encoder, card, dtype=torch.float16)
        _check_size(weights)
        card["rounding_error"] = _change(encoder, load(weights), card["num_points"])
    _check_complete(card)
    settings.out.mkdir(parents=True, exist_ok=True)
    target = settings.out / f"{settings.name}.safetensors"
    return save_weights(target, encoder, card, dtype=torch.float16)


def summary(path: Path) -> dict[str, Any]:
    """Returns what a card says of an evaluation: what of, and its numbers, without its lists.

    Args:
        path: the JSON of a report of ``pcclust evaluate`` or ``pcclust cluster``.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is no such report.
    """
    try:
        told = json.loads(path.read_bytes())
        methods = {method["method"]: method for method in told.get("methods", ())}
        measures = (
            told["measures"]
            if not methods
            else {name: _means(method["mean_and_deviation"]) for name, method in methods.items()}
        )
        kind, data = told.get("kind", "clustering"), told["about"]["data"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no report of pcclust evaluate or cluster: {error}") from error
    return {"kind": kind, "data": data, "measures": _numbers(measures)}


def _means(told: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    return {
        part: {name: {"mean": pair[0], "std": pair[1]} for name, pair in measures.items()}
        for part, measures in told.items()
        if measures
    }


def _numbers(measures: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in measures.items():
        if isinstance(value, dict):
            found[name] = _numbers(value)
        elif isinstance(value, float):
            found[name] = round(value, 6)
        elif not isinstance(value, list):
            found[name] = value
    return found


def _check_name(name: str, card: Card) -> None:
    dataset = Path(card["data"]["dataset"]).stem
    models = sorted({card["model"], *_models(card["model_kwargs"])})
    said = "|".join(map(re.escape, models))
    if not re.fullmatch(rf"({said})-[a-z0-9-]+-{re.escape(dataset)}", name):
        raise ValueError(
            f"--name {name} must say model, method and data: {' or '.join(models)}-METHOD-{dataset}"
        )


def _models(setting: object) -> set[str]:
    """Returns the backbones that settings of a model name."""
    if isinstance(setting, str):
        return {setting} & set(BACKBONES)
    if isinstance(setting, dict | list):
        parts = setting.values() if isinstance(setting, dict) else setting
        return set().union(*map(_models, parts))
    return set()


def _terms(settings: Settings, card: Card) -> str:
    dataset = card["data"]["dataset"]
    terms = settings.terms or TERMS.get(dataset)
    if terms is None:
        raise ValueError(f"say by --terms under which terms {dataset} may be used")
    return terms


def _check_size(weights: Path) -> None:
    size = weights.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{size:,} bytes of weights exceed {MOST_BYTES:,}: train a smaller model")


@torch.no_grad()
def _change(encoder: nn.Module, stored: nn.Module, num_points: int) -> float:
    """Returns the largest change of features of real shapes, relative to their length."""
    shapes = open_dataset(str(FURNITURE), num_points=num_points)
    points = UnitSphere()(shapes.points[:: len(shapes) // COMPARED])
    expected, found = encoder(points), stored(points)
    change = float(((found - expected).norm(dim=1) / expected.norm(dim=1)).max())
    if not change < MOST_CHANGE:
        raise ValueError(f"float16 weights change features by {change:.1e} of their length")
    return change


def _check_complete(card: Card) -> None:
    written_later = ("stored_as",)
    missing = [name for name in FIELDS if name not in card and name not in written_later]
    missing += [f"data.{name}" for name in DATA_FIELDS if name not in card["data"]]
    if missing:
        raise ValueError(f"the card of the run lacks {', '.join(missing)}")
    for text in _texts(card):
        places = [
            word
            for word in re.split(r"[\s:=,'\"]+", text)
            if len(word) > 1 and PurePath(word).is_absolute()
        ]
        if places:
            raise ValueError(f"the card names {places[0]}, which nobody else has: say it otherwise")


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]


if __name__ == "__main__":
    for written in ship(tyro.cli(Settings, description=__doc__)):
        print(written, f"{written.stat().st_size:,} bytes")
