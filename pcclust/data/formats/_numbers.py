"""Numbers as text, by one rule for all formats of text."""

import math
import re

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?", re.ASCII)
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}


def parse_number(text: str) -> float:
    """Returns the number that a text is: decimal, with an exponent (E, or Fortran's D), nan or inf.

    Python's ``float`` also takes ``1_000``, and makes infinity of ``1e400``.

    Raises:
        ValueError: it is none, or exceeds float64; the message says which.

    Example:
        >>> from pcclust.data.formats._numbers import parse_number
        >>> parse_number(" -1.5d3 ")
        -1500.0
    """
    stripped = text.strip()
    if NUMBER.fullmatch(stripped):
        value = float(stripped.replace("d", "e").replace("D", "e"))
        if math.isinf(value):
            raise ValueError(f"{stripped[:40]!r} exceeds float64")
        return value
    sign = -1 if stripped.startswith("-") else 1
    word = stripped.lstrip("+-").lower()
    if word in NOT_FINITE and len(stripped) - len(word) <= 1:
        return sign * NOT_FINITE[word]
    raise ValueError(f"{stripped[:40]!r} is no number")
