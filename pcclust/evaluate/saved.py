"""Reports as JSON."""

import json
from collections.abc import Mapping
from typing import Any

from pcclust._names import visible

MOST_LINES = 16  # of numbers in the repr of a report


def told_by(text: str, kind: str) -> dict[str, Any]:
    """Returns what the JSON of a report tells, without its measures, which follow from the rest.

    Raises:
        ValueError: not the JSON of a report of this kind.
    """
    told = json.loads(text)
    if not isinstance(told, dict) or told.pop("kind", None) != kind:
        raise ValueError(f"not a report of kind {kind!r}")
    told.pop("measures", None)
    return told


def told_in_lines(name: str, about: Mapping[str, str], lines: list[str]) -> str:
    """Returns the repr of a report: whose it is, and some lines of numbers.

    Args:
        name: of the report's class.
        about: the model and the data, in words.
        lines: of which a few are told, and how many more there are.
    """
    whose = [f"{about[what]}" for what in ("model", "data") if what in about]
    head = f"{name}: {' on '.join(whose)}" if whose else name
    shown = lines if len(lines) <= MOST_LINES else lines[: MOST_LINES - 1]
    rest = [f"… {len(lines) - len(shown)} more"] if len(shown) < len(lines) else []
    return "\n".join(map(visible, [head, *(f"  {line}" for line in [*shown, *rest])]))
