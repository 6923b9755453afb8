"""Sizes that files declare, compared with the bytes there are before any memory is asked for."""

import os

from pcclust.data._parse_errors import ContentError

# Ours: real clouds shrink to a tenth at most, and below the floor no harm is done.
MAX_EXPANSION = 200
HARMLESS = 64 * 2**20
VARIABLE = "PCCLUST_MAX_EXPANSION"


def check_present(declared: int, present: int, what: str) -> None:
    """Raises ContentError where content needs more bytes than the file has for it.

    Args:
        declared: bytes that it needs.
        present: bytes that there are.
        what: the content, for the message, in the plural.
    """
    if declared > present:
        raise ContentError(
            f"its {what} need {declared:,} bytes, but {present:,} are there; it is cut off or its "
            "header lies: make or fetch it again"
        )


def check_expansion(declared: int, present: int, what: str) -> None:
    """Raises ContentError where compressed content would grow beyond all that is usual.

    Args:
        declared: bytes after decompression.
        present: bytes before it.
        what: the content, for the message, in the plural.
    """
    limit = max_expansion()
    if declared > max(HARMLESS, limit * present):
        raise ContentError(
            f"its {what} are {present:,} bytes and would become {declared:,}, more than "
            f"{limit:g} times as many; if that is meant, set {VARIABLE} higher"
        )


def max_expansion() -> float:
    """Returns how many times its size content may become, by default 200.

    Raises:
        ValueError: the variable PCCLUST_MAX_EXPANSION is no number.
    """
    value = os.environ.get(VARIABLE)
    if value is None:
        return MAX_EXPANSION
    try:
        return float(value)
    except ValueError as error:
        raise ValueError(f"{VARIABLE}={value!r} must be a number") from error
