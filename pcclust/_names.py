"""Names in messages: those that a user may have meant, and singular and plural."""

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns a hint at the most similar name, or at all of them where none is."""
    known = list(names)
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


def counted(count: int, what: str, plural: str | None = None) -> str:
    """Returns a number with what it counts, in the singular or the plural.

    Example:
        >>> counted(1, "shape"), counted(12308, "shape"), counted(2, "class", "classes")
        ('1 shape', '12,308 shapes', '2 classes')
    """
    return f"{count:,} {what if count == 1 else plural or what + 's'}"
