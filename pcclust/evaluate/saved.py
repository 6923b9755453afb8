"""Reports as JSON."""

import json
from typing import Any


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
