"""The card beside weights, in JSON, which says what they are."""

from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias

from pcclust._version import __version__

FORMAT = "pcclust weights"
# What a card must say for the model to be built again.
REQUIRED = ("model", "model_kwargs", "class_names", "size", "sha256")
# What the entries of a card are, if they are there.
KINDS: Mapping[str, tuple[type, ...]] = {
    "model": (str,),
    "model_kwargs": (dict,),
    "class_names": (list,),
    "size": (int,),
    "sha256": (str,),
    "config": (dict, NoneType),
    "num_points": (int, NoneType),
    "missing_classes": (list, NoneType),
    "pcclust_version": (str,),
}

# What a file of weights is: anything that JSON can hold.
Card: TypeAlias = dict[str, Any]


def check_card(card: Card, path: Path) -> None:
    """Raises ValueError at the first entry that is of another kind than it should be."""
    for key, kinds in KINDS.items():
        if key in card and (not isinstance(card[key], kinds) or isinstance(card[key], bool)):
            raise ValueError(
                f"{path}: {key} is {shortened(card[key])}, where {kinds[0].__name__} is expected; "
                "copy it again, or take the card that was written with the weights"
            )
    for key in ("class_names", "missing_classes"):
        for name in card.get(key) or ():
            if not isinstance(name, str):
                raise ValueError(f"{path}: {key} holds {shortened(name)}, which is no name")


def shortened(value: object) -> str:
    """Returns how a value is written, cut to what a message can hold."""
    return cut(repr(value))


def cut(text: str, length: int = 200) -> str:
    """Returns a text, cut to what a message can hold."""
    return text if len(text) <= length else f"{text[:length]}…"


def card_path(weights: Path) -> Path:
    """Returns where the card of a file of weights is."""
    return weights.with_suffix(".json")


def identity() -> Card:
    """Returns what a card says of itself."""
    return {"format": FORMAT, "pcclust_version": __version__}


def versions(card: Card) -> str:
    """Says by which version the weights were written, where it is another one."""
    here, there = identity()["pcclust_version"], card.get("pcclust_version", "an unknown version")
    if here == there:
        return ""
    return f"; they were written by pcclust {cut(there)} and this is {here}: install that version"
