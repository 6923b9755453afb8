"""Puts weights that come with pcclust, and statistics of RRI, side by side as one encoder.

python -m benchmarks.stack_weights modelnet40 --out runs/stack \
    --parts clusternet-pcl-modelnet40 clusternet-contrastnet-modelnet40 rri-statistics
python -m benchmarks.ship_weights runs/stack --name feature-stack-pcl-contrastnet-modelnet40
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from torch import Tensor

import pcclust
from pcclust.data.named import open_named
from pcclust.data.transforms import UnitSphere
from pcclust.nn import FeatureStack
from pcclust.nn._card import Card
from pcclust.nn.weights import read_card, save_weights
from pcclust.nn.weights_source import shipped_names

# What the parts have in common, and the stack says, too.
SHARED = ("class_names", "num_points", "normalization", "rotation")


@dataclass(frozen=True)
class Settings:
    """What is put together.

    Attributes:
        data: the training shapes by which channels are evened out, those of the parts.
        out: the folder of the stack.
        parts: names of weights that come with pcclust, and of backbones that have none.
        features: a .npy file of what the parts make of these shapes, side by side, where it is at
            hand: encoders that do not see a shape's pose need not be asked again.
    """

    data: Annotated[str, tyro.conf.Positional]
    out: Path
    parts: tuple[str, ...]
    features: Path | None = None


def main(settings: Settings) -> tuple[Path, Path]:
    """Writes the stack, and returns the paths of its weights and its card."""
    cards = {name: read_card(name) for name in settings.parts if name in shipped_names()}
    parts: list[dict[str, str] | str] = [
        {"weights": name, "sha256": cards[name]["sha256"]} if name in cards else name
        for name in settings.parts
    ]
    stack = FeatureStack(parts).eval()
    stack.fit(_features(settings, stack))
    settings.out.mkdir(parents=True, exist_ok=True)
    return save_weights(settings.out, stack, _card(stack, parts, cards))


def _features(settings: Settings, stack: FeatureStack) -> Tensor:
    if settings.features is not None:
        return torch.from_numpy(np.load(settings.features))
    shapes = open_named(settings.data)
    return pcclust.embed(stack, UnitSphere()(shapes.points), progress=True)


def _card(stack: FeatureStack, parts: list[Any], cards: dict[str, Card]) -> Card:
    first = next(iter(cards.values()))
    data = [card["data"]["sha256"] for card in cards.values()]
    if len(set(data)) > 1:
        raise SystemExit(f"the parts were trained on different data: {', '.join(data)}")
    return {
        **{name: first[name] for name in SHARED},
        "model": "feature-stack",
        "model_kwargs": {"parts": parts},
        "method": "stack",
        "seed": 0,
        "parameters": sum(parameter.numel() for parameter in stack.parameters()),
        "data": {name: first["data"][name] for name in ("dataset", "shapes", "sha256")},
        "config": {"parts": list(cards)},
        "pipeline": {name: card["pipeline"] for name, card in cards.items()},
    }


if __name__ == "__main__":
    for written in main(tyro.cli(Settings, description=__doc__)):
        print(written, f"{written.stat().st_size:,} bytes")
