"""Text of any encoding in circulation, line by line."""

import codecs
import io

from pcclust.data._parse_errors import ContentError

# UTF-32 comes first: its mark begins with that of UTF-16.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
LOOKED_AT = 4096


def text_lines(content: bytes) -> io.StringIO:
    """Returns text whose lines, of any kind of line end, are read one by one.

    Args:
        content: UTF-8, or UTF-16 and UTF-32 with a mark or with every other byte zero; what is none
            of these is read as Latin-1, which leaves numbers as they are.

    Raises:
        ContentError: bytes that are no text.
    """
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), None)
    try:
        text = content.decode(encoding or _guessed(content))
    except UnicodeDecodeError as error:
        if encoding is not None or b"\0" in content:
            raise ContentError(f"its text is damaged: {error}") from error
        text = content.decode("latin-1")
    # Ctrl-Z ended the text files of CP/M, and some programs still write it.
    return io.StringIO(text.rstrip("\x1a"), newline=None)


def _guessed(content: bytes) -> str:
    start = content[:LOOKED_AT]
    if b"\0" not in start:
        if b"\0" in content:
            raise ContentError("it holds zero bytes, so it is no text")
        return "utf-8"
    if len(start) > 1 and not any(start[1::2]):
        return "utf-16-le"
    if len(start) > 1 and not any(start[::2]):
        return "utf-16-be"
    raise ContentError("it holds zero bytes, so it is no text")
