"""Bodies of PLY files: the instances of the elements that a header declares."""

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data.formats._rows import Rows, numbers, rows_of
from pcclust.data.formats.ply_header import Element, Header

CODES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"}
NUMBER = np.dtype("<f8")  # what a word of text becomes


class Table(NamedTuple):
    """The instances of an element.

    Attributes:
        element: what the header says of them.
        body: the bytes they are in.
        begins: ``(N, P)``, where in them the values of each property begin; ``(1, P)``, of the
            first instance, where the others follow at equal distances.
        sizes: ``(N, P)`` or ``(1, P)``, how many values it has.
        stride: the bytes of an instance where all are alike, or 0.
        end: where the last instance ends.
    """

    element: Element
    body: bytes
    begins: NDArray[np.int64]
    sizes: NDArray[np.int64]
    stride: int
    end: int

    def values(self, place: int) -> NDArray[np.generic]:
        """Returns all values of the property at a place of the header, in a row."""
        kind = self.element.properties[place].value
        begins, sizes = self.begins[:, place], self.sizes[:, place]
        if self.stride:
            shape = (self.element.instances, int(sizes[0]))
            strides = (self.stride, kind.itemsize)
            return np.ndarray(shape, kind, self.body, int(begins[0]), strides).reshape(-1)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        first = np.repeat(begins, sizes) + within * kind.itemsize
        characters = np.frombuffer(self.body, np.uint8)
        found = characters[first[:, None] + np.arange(kind.itemsize)].view(kind)
        return np.asarray(found[:, 0])

    def lengths(self, place: int) -> NDArray[np.int64]:
        """Returns how many values each instance has of the property at a place of the header."""
        sizes = self.sizes[:, place]
        return np.repeat(sizes, self.element.instances) if self.stride else sizes

    def lengths_agree(self, place: int) -> bool:
        """Tells whether the lists of all instances are as long as that of the first."""
        kind = self.element.properties[place].length
        if kind is None:
            return True
        first = int(self.begins[0, place]) - kind.itemsize
        found = np.ndarray((self.element.instances,), kind, self.body, first, (self.stride,))
        return bool((found == self.sizes[0, place]).all())

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each instance begins."""
        first = self.element.properties[:1]
        if not first:
            return np.empty(0, np.int64)
        starts = self.begins[:, 0] - (first[0].length.itemsize if first[0].length else 0)
        return starts + self.stride * np.arange(self.element.instances) if self.stride else starts


def read_body(content: bytes, header: Header) -> dict[str, Table]:
    """Finds the instances of all elements, by the elements' names.

    Raises:
        ContentError: less or more follows than the header declares.
    """
    if header.order:
        tables = _read_elements(content, header.end, header.elements)
        if tables is None or content[_end(tables, header.end) :].strip(b"\0\r\n\t "):
            raise ContentError(
                f"the PLY header declares {_declared(header)}, which the "
                f"{len(content) - header.end} bytes that follow do not fit"
            )
    else:
        rows = rows_of(content[header.end :].replace(b"\r", b"\n"))
        tables = _read_text(rows, header.elements)
        if tables is None:
            raise ContentError(
                f"the PLY header declares {_declared(header)}, but {len(rows)} rows follow, "
                "or rows with other numbers of values"
            )
    return {table.element.name: table for table in tables}


def _read_text(rows: Rows, elements: list[Element]) -> list[Table] | None:
    """Reads text as the bytes of its numbers; lines only matter where each instance has one."""
    elements = [
        element._replace(
            properties=[
                p._replace(value=NUMBER, length=None if p.length is None else NUMBER)
                for p in element.properties
            ]
        )
        for element in elements
    ]
    words = int(rows.words.sum())
    if sum(element.instances * len(element.properties) for element in elements) > words:
        return None
    body = numbers(rows.text, words).astype(NUMBER).tobytes()
    tables = _read_elements(body, 0, elements)
    if tables is None or _end(tables, 0) != len(body):
        return None
    starts = (
        np.concatenate([np.empty(0, np.int64), *(table.starts for table in tables)])
        // NUMBER.itemsize
    )
    # With a row for each instance, one value too many must not make up for one too few.
    return tables if len(starts) != len(rows) or (starts == rows.offsets).all() else None


def _declared(header: Header) -> str:
    return " and ".join(f"{element.instances} {element.name} rows" for element in header.elements)


def _end(tables: list[Table], begin: int) -> int:
    return tables[-1].end if tables else begin


def _read_elements(body: bytes, place: int, elements: list[Element]) -> list[Table] | None:
    """Finds all instances, or returns None where the body has not enough bytes for them."""
    tables = list[Table]()
    for element in elements:
        least = sum((p.length or p.value).itemsize for p in element.properties)
        if place + element.instances * least > len(body):
            return None
        table = _walk(body, place, element)
        if table is None:
            return None
        tables.append(table)
        place = table.end
    return tables


def _walk(body: bytes, place: int, element: Element) -> Table | None:
    """Finds the instances of an element: as many as can be like the first, else one by one."""
    first = _follow(body, place, element, min(element.instances, 1))
    if first is None or element.instances <= 1 or not element.properties:
        return first
    stride = first.end - place
    end = place + stride * element.instances
    alike = first._replace(stride=stride, end=end)
    if end <= len(body) and all(map(alike.lengths_agree, range(len(element.properties)))):
        return alike
    return _follow(body, place, element, element.instances)


def _follow(body: bytes, place: int, element: Element, count: int) -> Table | None:
    """Finds instances one after the other, since the length of each list moves those after it."""
    steps = [
        (None if p.length is None else _length_reader(p.length), p.value.itemsize)
        for p in element.properties
    ]
    begins, sizes = list[int](), list[int]()
    for _ in range(count):
        for length_at, itemsize in steps:
            size = 1
            if length_at is not None:
                if place + length_at.size > len(body):
                    return None
                (length,) = length_at.unpack_from(body, place)
                size = int(length) if 0 <= length <= len(body) else -1
                if size != length:
                    return None
                place += length_at.size
            begins.append(place)
            sizes.append(size)
            place += size * itemsize
    if place > len(body):
        return None
    shape = (count, len(steps))
    return Table(
        element,
        body,
        np.array(begins, np.int64).reshape(shape),
        np.array(sizes, np.int64).reshape(shape),
        0,
        place,
    )


def _length_reader(kind: "np.dtype[np.generic]") -> struct.Struct:
    order = ">" if kind.str[0] == ">" else "<"
    return struct.Struct(order + CODES.get(kind.str[1:], "d"))
