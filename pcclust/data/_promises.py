"""Row counts that text files promise in their headers, compared with the rows that follow.

The parsing libraries fill missing rows with whatever comes next, even with unset memory, so a
truncated or lying text file has to be found out here.
"""

import re
from pathlib import Path

from pcclust.data._blame import ContentError


def check_promises(path: Path) -> None:
    """Raises where an OFF or ASCII PLY file has fewer rows than its header promises.

    Args:
        path: a file of any format; those that promise no rows of text pass.
    """
    promise = _PROMISES.get(path.suffix.lower())
    if promise is not None:
        promise(path.read_bytes())


def _check_off(content: bytes) -> None:
    rows = [row for row in (r.split(b"#")[0].strip() for r in content.splitlines()) if row]
    # "OFF", "COFF", "OFF 8 12 0" and ModelNet40's glued "OFF8 12 0" all occur.
    header = re.match(rb"[A-Z]*OFF\s*(.*)", rows[0]) if rows else None
    if header is None:
        raise ContentError("not an OFF file: it does not begin with OFF")
    counts, body = (header[1], rows[1:]) if header[1] else (b"".join(rows[1:2]), rows[2:])
    numbers = re.match(rb"(-?\d+)\s+(-?\d+)", counts)
    if numbers is None:
        raise ContentError("the OFF header has no vertex and face counts")
    vertices, faces = int(numbers[1]), int(numbers[2])
    if vertices < 0 or faces < 0 or vertices + faces > len(body):
        raise ContentError(
            f"the OFF header promises {vertices} vertices and {faces} faces, "
            f"but {len(body)} rows follow"
        )
    last = body[vertices + faces - 1].split() if faces else []
    if last and last[0].isdigit() and len(last) <= int(last[0]):
        raise ContentError(
            f"the last OFF face is cut off: {b' '.join(last).decode(errors='replace')!r}"
        )


def _check_ply(content: bytes) -> None:
    header, end, body = content.partition(b"end_header")
    if not end or b"format ascii" not in header:
        return
    promised = {
        name.decode(): int(count)
        for name, count in re.findall(rb"^element\s+(\w+)\s+(\d+)", header, flags=re.MULTILINE)
    }
    rows = _count_rows(body)
    if sum(promised.values()) > rows:
        counts = " and ".join(f"{count} {name} rows" for name, count in promised.items())
        raise ContentError(f"the PLY header promises {counts}, but {rows} rows follow")


def _count_rows(body: bytes) -> int:
    return sum(1 for row in body.splitlines() if row.strip())


_PROMISES = {".off": _check_off, ".ply": _check_ply}
