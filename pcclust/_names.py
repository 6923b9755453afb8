"""Names: which a user may have meant, singular and plural, what is hidden, what is former."""

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# What moves the cursor, colours, retitles or answers (C0, C1), turns the direction of a line, ends
# one unseen, or cannot be encoded (bytes of a file name that are no text). Line feed and tab stay.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)

# What settings and measures were called in files that older versions wrote.
_FORMER = {
    "settings": "model_kwargs",
    "val_share": "val_fraction",
    "min_share": "min_fraction",
    "effective": "perplexity",
}


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns a hint at the most similar name, or at all of them where none is."""
    known = list(names)
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"


def nearest_path(path: str | os.PathLike[str]) -> str:
    """Returns a hint at the file or folder whose path is most similar; nothing where none is.

    Example:
        >>> nearest_path("/never/there")
        ''
    """
    place, rest = Path(path), tuple[str, ...]()
    while not place.parent.exists():
        place, rest = place.parent, (place.name, *rest)
    try:
        beside = [each.name for each in place.parent.iterdir()]
    except OSError:  # it is a file, or not ours to look into
        return ""
    close = difflib.get_close_matches(place.name, beside, n=1)
    guesses = [place.parent.joinpath(name, *rest) for name in close]
    return "".join(f"; did you mean {str(guess)!r}?" for guess in guesses if guess.exists())


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


def todays_names(told: Any) -> Any:  # noqa: ANN401 - anything of JSON or YAML
    """Returns what a config file or a card of any version says, by the names of this one.

    Example:
        >>> todays_names({"val_share": 0.1, "settings": {"k": 20}})
        {'val_fraction': 0.1, 'model_kwargs': {'k': 20}}
    """
    if isinstance(told, list):
        return [todays_names(each) for each in told]
    if isinstance(told, dict):
        return {_FORMER.get(name, name): todays_names(each) for name, each in told.items()}
    return told
