"""LZF, the compression of PCD files.

A control byte c below 32 is followed by c + 1 bytes as they are. Any other copies l + 2 bytes from
d + 1 bytes back, where l is c // 32, with the next byte added where that is 7, and d is
256 (c mod 32) plus the byte after; the copy may reach into itself. Source: the description in
liblzf's lzf_d.c (http://oldhome.schmorp.de/marc/liblzf.html).
"""

from pcclust.data._parse_errors import ContentError

LITERAL = 32
LONG = 7


def decompress(packed: bytes | memoryview, size: int) -> bytearray:
    """Decompresses LZF.

    Args:
        packed: the compressed bytes.
        size: how many bytes they become.

    Raises:
        ContentError: they become another number of bytes, or copy from before their beginning.

    Example:
        >>> from pcclust.data.formats.lzf import decompress
        >>> bytes(decompress(bytes([0, ord("a"), 0b01000000, 0]), 5))
        b'aaaaa'
    """
    source = bytes(packed)
    out = bytearray()
    at, end = 0, len(source)
    try:
        while at < end and len(out) <= size:
            control = source[at]
            at += 1
            if control < LITERAL:
                out += source[at : at + control + 1]
                at += control + 1
                continue
            length = control >> 5
            if length == LONG:
                length += source[at]
                at += 1
            distance = ((control & 31) << 8) + source[at] + 1
            at += 1
            _copy(out, distance, length + 2)
    except IndexError:
        at = end + 1
    if at != end or len(out) != size:
        raise ContentError(
            f"its compressed points are damaged: {len(out):,} bytes come out instead of {size:,}"
        )
    return out


def _copy(out: bytearray, distance: int, length: int) -> None:
    start = len(out) - distance
    if start < 0:
        raise ContentError("its compressed points are damaged: they copy from before they begin")
    if distance >= length:
        out += out[start : start + length]
        return
    pattern = out[start:]
    out += (pattern * (length // distance + 1))[:length]
