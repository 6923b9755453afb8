"""PCD files of any fields, written the plain way, to compare the reader with."""

import struct

import numpy as np


def compress_lzf(data: bytes) -> bytes:
    """Compresses by the description alone: at each place the longest earlier copy, or a literal."""
    out, literal, at = bytearray(), bytearray(), 0

    def flush():
        for start in range(0, len(literal), 32):
            piece = literal[start : start + 32]
            out.extend((len(piece) - 1, *piece))
        literal.clear()

    while at < len(data):
        length, distance = longest_copy(data, at)
        if length < 3:
            literal.append(data[at])
            at += 1
            continue
        flush()
        high, low = divmod(distance - 1, 256)
        short = min(length - 2, 7)
        out.extend((short * 32 + high, *([length - 9] if short == 7 else []), low))
        at += length
    flush()
    return bytes(out)


def longest_copy(data: bytes, at: int) -> tuple[int, int]:
    best = (0, 0)
    for distance in range(1, min(at, 300) + 1):
        length = 0
        while (
            length < 264
            and at + length < len(data)
            and data[at + length] == data[at + length - distance]
        ):
            length += 1
        best = max(best, (length, distance), key=lambda found: found[0])
    return best


def pcd(rows: np.ndarray, data: str, *, counts=None, **changed: object) -> bytes:
    """Writes a structured array; fields called ``pad…`` become padding.

    Args:
        rows: ``(N,)``.
        data: ascii, binary or binary_compressed.
        counts: lines COUNT, for fields of several values.
        changed: header lines to replace; None leaves one out.
    """
    names = rows.dtype.names
    bases = [rows.dtype[name].base for name in names]
    widths = [int(np.prod(rows.dtype[name].shape, dtype=int)) for name in names]
    lines = {
        "VERSION": ".7",
        "FIELDS": " ".join("_" if name.startswith("pad") else name for name in names),
        "SIZE": " ".join(str(base.itemsize) for base in bases),
        "TYPE": " ".join({"f": "F", "i": "I", "u": "U"}[base.kind] for base in bases),
        "COUNT": " ".join(map(str, widths)),
        "WIDTH": len(rows),
        "HEIGHT": 1,
        "VIEWPOINT": "0 0 0 1 0 0 0",
        "POINTS": len(rows),
        "DATA": data,
    }
    lines |= changed
    header = "".join(f"{key} {value}\n" for key, value in lines.items() if value is not None)
    if data == "ascii":
        flat = [" ".join(str(v) for name in names for v in np.ravel(row[name])) for row in rows]
        return ("# .PCD\n" + header + "\n".join(flat) + "\n").encode()
    if data == "binary":
        return header.encode() + rows.tobytes()
    columns = b"".join(np.ascontiguousarray(rows[name]).tobytes() for name in names)
    packed = compress_lzf(columns)
    return header.encode() + struct.pack("<II", len(packed), len(columns)) + packed
