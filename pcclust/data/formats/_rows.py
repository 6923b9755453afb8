"""What the text formats of meshes share: lines, words and numbers, found exactly and in bulk."""

import codecs
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data.formats._numbers import parse_number
from pcclust.data.formats.text import text_lines

COMMENT = re.compile(rb"#[^\n]*")
SHOWN = 60  # characters of a line in a message


def read_text(path: Path) -> bytes:
    """Reads a text as UTF-8, or of unknown encoding, its lines ended by line feeds.

    Raises:
        ContentError: the file holds zero bytes, and is no UTF-16.
    """
    text = path.read_bytes()
    if b"\0" in text or text.startswith(codecs.BOM_UTF8):
        return text_lines(text).read().encode()
    text = text.rstrip(b"\x1a")
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text


def strip_comments(text: bytes) -> bytes:
    """Removes what follows a # on each line."""
    return COMMENT.sub(b"", text) if b"#" in text else text


class Rows(NamedTuple):
    """The lines of a text that are not blank.

    Attributes:
        text: the text.
        starts: ``(R,)``, where the first word of each line begins.
        ends: ``(R,)``, where the line ends.
        words: ``(R,)``, how many words the line has.
    """

    text: bytes
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    words: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.words)

    def shown(self, row: int) -> str:
        """Returns a line as a message quotes it."""
        line = b" ".join(self.text[self.starts[row] : self.ends[row]].split())
        return repr(line[:SHOWN].decode(errors="replace"))

    @property
    def offsets(self) -> NDArray[np.int64]:
        """``(R,)``, how many words come before each line."""
        return np.cumsum(self.words) - self.words


def rows_of(text: bytes) -> Rows:
    """Finds the lines and their words, which blanks, tabs and other white space separate."""
    characters = np.frombuffer(text, np.uint8)
    blank = (characters == 32) | ((characters >= 9) & (characters <= 13))
    begins = ~blank
    begins[1:] &= blank[:-1]
    words = np.flatnonzero(begins)
    ends = np.append(np.flatnonzero(characters == 10), len(text))
    until = np.searchsorted(words, ends)
    counts = np.diff(until, prepend=0)
    full = counts > 0
    starts = words[(until - counts)[full]]
    return Rows(text, starts, ends[full].astype(np.int64), counts[full].astype(np.int64))


def numbers(text: bytes, count: int, kind: type[np.generic] = np.float64) -> NDArray[np.float64]:
    """Reads the words of a text, which must all be numbers.

    Args:
        text: numbers separated by white space.
        count: how many words it has.
        kind: np.float64, or np.int64 for whole numbers.

    Returns:
        ``(count,)`` of that kind, each the nearest to what is written.

    Raises:
        ContentError: a word is no number.
    """
    if count == 0:
        return np.empty(0, kind)
    try:
        # Old NumPy warns of a word that is no number, and stops there.
        values: NDArray[np.float64] = np.fromstring(text, dtype=kind, sep=" ")
    except (ValueError, DeprecationWarning):
        values = np.empty(0, kind)
    if len(values) != count:
        values = np.array(_one_by_one(text, kind), kind)
    if len(values) != count:
        raise ContentError(f"{count} numbers are expected, but {len(values)} are there")
    return values


def _one_by_one(text: bytes, kind: type[np.generic]) -> list[float]:
    try:
        values = [parse_number(word) for word in text.decode(errors="replace").split()]
    except ValueError as error:
        raise ContentError(str(error)) from error
    for value in values if kind is np.int64 else []:
        if value != value // 1:
            raise ContentError(f"{value} is no whole number")
    return values
