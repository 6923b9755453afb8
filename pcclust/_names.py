"""Names in messages: which a user may have meant, singular and plural, what is hidden in them."""

import difflib
import re
from collections.abc import Iterable

# What moves the cursor, colours, retitles or answers (C0, C1), turns the direction of a line, ends
# one unseen, or cannot be encoded (bytes of a file name that are no text). Line feed and tab stay.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


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


def visible(text: str) -> str:
    r"""Returns a text with its control characters and direction marks written as escapes.

    Names of files and labels hold what their makers like: ``\x1b]0;…`` sets the title of a
    terminal, and U+202E shows ``gpj.exe`` as ``exe.jpg``.

    Example:
        >>> print(visible("a\x1b[31m.off, b\u202efdp.exe"))
        a\x1b[31m.off, b\u202efdp.exe
    """
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
