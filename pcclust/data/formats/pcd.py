"""PCD, the format of the Point Cloud Library: fields of any kind as text, binary or compressed.

Read by the description of version 0.7 (https://pointclouds.org/documentation/tutorials/
pcd_file_format.html). Coordinates are read as they stand; VIEWPOINT, from where they were taken,
moves nothing.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data._sizes import check_expansion, check_present
from pcclust.data.formats._numbers import parse_number
from pcclust.data.formats.lzf import decompress

_NAMES = "VERSION FIELDS SIZE TYPE COUNT WIDTH HEIGHT VIEWPOINT POINTS DATA"
KEYS = _NAMES.split()
SIZES = {"F": (2, 4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}
PREFIX = 8  # bytes before compressed content: its size, and that of what it was


class Field(NamedTuple):
    """One column of the points, or several of one name.

    Attributes:
        name: in lower case; ``_`` is padding.
        dtype: of one value.
        values: of each point.
    """

    name: str
    dtype: np.dtype[np.number]
    values: int

    @property
    def width(self) -> int:
        """Bytes of each point."""
        return self.dtype.itemsize * self.values


class Header(NamedTuple):
    """What the first lines say.

    Attributes:
        fields: in their order.
        points: how many.
        data: "ascii", "binary" or "binary_compressed".
        body: where the points begin, in bytes.
    """

    fields: list[Field]
    points: int
    data: str
    body: int

    @property
    def width(self) -> int:
        """Bytes of each point."""
        return sum(field.width for field in self.fields)


def load_pcd(path: Path) -> NDArray[np.float64]:
    """Reads x, y and z ``(N, 3)`` of a PCD file, whatever other fields it has.

    Raises:
        ContentError: a header that lacks something or contradicts itself, no fields x, y and z,
            fewer or more points than declared.
    """
    content = path.read_bytes()
    header = read_header(content)
    _xyz(header.fields)
    if not header.points:
        return np.empty((0, 3))
    body = memoryview(content)[header.body :]
    read = {"ascii": _read_ascii, "binary": _read_binary, "binary_compressed": _read_compressed}
    return read[header.data](header, body)


def read_header(content: bytes) -> Header:
    """Reads the lines down to DATA; their order, case and comments do not matter.

    Raises:
        ContentError: no PCD header, or one that cannot be right.
    """
    said: dict[str, list[str]] = {}
    place = 0
    while "DATA" not in said:
        end = content.find(b"\n", place)
        if end < 0:
            raise ContentError("not a PCD file, or cut off: its header has no line DATA")
        words = content[place:end].split(b"#")[0].decode("latin-1").split()
        place = end + 1
        if not words:
            continue
        key = words[0].upper().replace("COLUMNS", "FIELDS")
        if key not in KEYS:
            raise ContentError(f"not a PCD file: its header has a line {words[0][:40]!r}")
        if key in said:
            raise ContentError(f"its PCD header has two lines {key}")
        said[key] = words[1:]
    data = " ".join(said["DATA"]).lower()
    if data not in ("ascii", "binary", "binary_compressed"):
        raise ContentError(f"DATA must be ascii, binary or binary_compressed, not {data!r}")
    return Header(_fields(said), _count_points(said), data, place)


def _fields(said: dict[str, list[str]]) -> list[Field]:
    for key in ("FIELDS", "SIZE", "TYPE"):
        if not said.get(key):
            raise ContentError(f"its PCD header has no {key}")
    names = said["FIELDS"]
    columns = [said["SIZE"], said["TYPE"], said.get("COUNT") or ["1"] * len(names)]
    for key, values in zip(("SIZE", "TYPE", "COUNT"), columns, strict=True):
        if len(values) != len(names):
            raise ContentError(f"its PCD header has {len(names)} FIELDS, but {len(values)} {key}")
    return [_field(*values) for values in zip(names, *columns, strict=True)]


def _field(name: str, size: str, kind: str, count: str) -> Field:
    known = SIZES.get(kind.upper(), ())
    if not size.isdecimal() or int(size) not in known:
        raise ContentError(f"the PCD field {name!r} has the unknown TYPE {kind} of SIZE {size}")
    if not count.isdecimal():
        raise ContentError(f"the PCD field {name!r} has COUNT {count}")
    return Field(name.lower(), np.dtype(f"<{kind.lower()}{size}"), int(count))


def _count_points(said: dict[str, list[str]]) -> int:
    numbers = {}
    for key in ("WIDTH", "HEIGHT", "POINTS"):
        value = " ".join(said.get(key, []))
        if value and not (value.isascii() and value.isdecimal()):
            raise ContentError(f"its PCD header has {key} {value}, which is no count")
        numbers[key] = int(value) if value else None
    width, height, points = numbers.values()
    grid = None if width is None else width * (1 if height is None else height)
    if grid is None and points is None:
        raise ContentError("its PCD header has neither POINTS nor WIDTH")
    if grid is not None and points is not None and grid != points:
        raise ContentError(f"its PCD header declares {points} points in a grid of {grid}")
    return points if grid is None and points is not None else grid or 0


def _xyz(fields: list[Field]) -> list[int]:
    """Returns which fields are x, y and z."""
    names = [field.name for field in fields]
    told = ", ".join(names)[:80]
    for name in "xyz":
        if names.count(name) != 1:
            count = names.count(name) or "no"
            raise ContentError(f"it has {count} field {name!r}; its fields are {told}")
    found = [names.index(name) for name in "xyz"]
    many = next((fields[at] for at in found if fields[at].values != 1), None)
    if many:
        raise ContentError(f"its field {many.name!r} has {many.values} values of each point, not 1")
    return found


def _read_ascii(header: Header, body: memoryview) -> NDArray[np.float64]:
    rows = [row for row in bytes(body).splitlines() if row.strip()]
    if len(rows) != header.points:
        raise ContentError(
            f"the PCD header declares {header.points} points, but {len(rows)} follow"
        )
    starts = np.cumsum([0, *(field.values for field in header.fields)])
    wanted = [int(starts[at]) for at in _xyz(header.fields)]
    points = np.empty((len(rows), 3))
    for number, row in enumerate(rows):
        values = row.split()
        if len(values) != starts[-1]:
            raise ContentError(
                f"point {number} has {len(values)} values instead of {starts[-1]}, is it cut off? "
                f"{row[:60].decode(errors='replace')!r}"
            )
        try:
            points[number] = [parse_number(values[at].decode("latin-1")) for at in wanted]
        except ValueError as error:
            raise ContentError(f"point {number}: {error}") from None
    return points


def _read_binary(header: Header, body: memoryview) -> NDArray[np.float64]:
    declared = header.points * header.width
    check_present(declared, len(body), f"{header.points:,} points")
    spare = body[declared:]
    # Some writers fill up the last page of the disk, or end with a line break.
    if len(spare) >= header.width and bytes(spare).strip(b"\0"):
        raise ContentError(
            f"the PCD header declares {header.points:,} points of {header.width} bytes, but "
            f"{len(body):,} bytes follow"
        )
    starts = np.cumsum([0, *(field.width for field in header.fields)])
    record = np.dtype(
        {
            "names": list("xyz"),
            "formats": [header.fields[at].dtype for at in _xyz(header.fields)],
            "offsets": [int(starts[at]) for at in _xyz(header.fields)],
            "itemsize": header.width,
        }
    )
    points = np.frombuffer(body[:declared], record)
    return np.column_stack([points[axis].astype(np.float64) for axis in "xyz"])


def _read_compressed(header: Header, body: memoryview) -> NDArray[np.float64]:
    """Reads points that were first laid out field by field, then compressed with LZF."""
    check_present(PREFIX, len(body), "compressed points")
    packed, declared = (int(size) for size in np.frombuffer(body[:PREFIX], "<u4"))
    check_present(packed, len(body) - PREFIX, "compressed points")
    # The Point Cloud Library leaves padding out here, others keep it.
    fields = header.fields
    if declared != header.points * header.width:
        fields = [field for field in fields if field.name != "_"]
    needed = header.points * sum(field.width for field in fields)
    if declared != needed:
        raise ContentError(
            f"its {header.points:,} points are {needed:,} bytes, but {declared:,} are compressed"
        )
    check_expansion(declared, packed, "compressed points")
    values = decompress(body[PREFIX : PREFIX + packed], declared)
    starts = np.cumsum([0, *(field.width for field in fields)]) * header.points
    columns = [
        np.frombuffer(values, fields[at].dtype, header.points, int(starts[at]))
        for at in _xyz(fields)
    ]
    return np.column_stack([column.astype(np.float64) for column in columns])


def write_pcd(
    path: Path, points: NDArray[np.float64], scalars: dict[str, NDArray[np.float32]]
) -> None:
    """Writes a binary PCD file: x, y and z in float64, and float32 scalars of each point.

    Args:
        path: the file.
        points: ``(N, 3)``.
        scalars: ``(N,)`` each, by the names of the fields.
    """
    columns = {**dict(zip("xyz", points.T, strict=True)), **scalars}
    record = np.dtype([(name, "<f8" if name in "xyz" else "<f4") for name in columns])
    rows = np.empty(len(points), record)
    for name, column in columns.items():
        rows[name] = column
    lines = {
        "VERSION": "0.7",
        "FIELDS": " ".join(columns),
        "SIZE": " ".join(str(record[name].itemsize) for name in columns),
        "TYPE": " ".join("F" * len(columns)),
        "COUNT": " ".join("1" * len(columns)),
        "WIDTH": len(points),
        "HEIGHT": 1,
        "VIEWPOINT": "0 0 0 1 0 0 0",
        "POINTS": len(points),
        "DATA": "binary",
    }
    header = "".join(f"{key} {value}\n" for key, value in lines.items())
    path.write_bytes(header.encode() + rows.tobytes())
