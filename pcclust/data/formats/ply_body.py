"""Bodies of PLY files: the instances of the elements that a header promises."""

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.data._blame import ContentError
from pcclust.data.formats._rows import Rows, numbers, rows_of
from pcclust.data.formats.ply_header import Element, Header

CODES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"}
NUMBER = np.dtype("<f8")  # what a word of text becomes


class Table(NamedTuple):
    """The instances of an element.

    Attributes:
        element: what the header says of them.
        body: the bytes they are in.
        begins: ``(N, P)``, where in them the values of each property begin.
        sizes: ``(N, P)``, how many values it has.
        end: where the last instance ends.
    """

    element: Element
    body: bytes
    begins: NDArray[np.int64]
    sizes: NDArray[np.int64]
    end: int

    def values(self, place: int) -> NDArray[np.generic]:
        """Returns all values of the property at a place of the header, in a row."""
        kind = self.element.properties[place].value
        begins, sizes = self.begins[:, place], self.sizes[:, place]
        if len(sizes) == 0:
            return np.empty(0, kind)
        step = np.diff(begins)
        if (step == step[:1]).all() and (sizes == sizes[0]).all():
            shape = (len(sizes), int(sizes[0]))
            strides = (int(step[0]) if len(step) else 0, kind.itemsize)
            return np.ndarray(shape, kind, self.body, int(begins[0]), strides).reshape(-1)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        first = np.repeat(begins, sizes) + within * kind.itemsize
        characters = np.frombuffer(self.body, np.uint8)
        return np.asarray(characters[first[:, None] + np.arange(kind.itemsize)].view(kind)[:, 0])


def read_body(content: bytes, header: Header) -> dict[str, Table]:
    """Finds the instances of all elements, by the elements' names.

    Raises:
        ContentError: less or more follows than the header promises.
    """
    if header.order:
        tables = _read_elements(content, header.end, header.elements)
        if tables is None or content[_end(tables, header.end) :].strip(b"\0\r\n\t "):
            raise ContentError(
                f"the PLY header promises {_promised(header)}, which the "
                f"{len(content) - header.end} bytes that follow do not fit"
            )
    else:
        rows = rows_of(content[header.end :].replace(b"\r", b"\n"))
        tables = _read_text(rows, header.elements)
        if tables is None:
            raise ContentError(
                f"the PLY header promises {_promised(header)}, but {len(rows)} rows follow, "
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
    starts = np.concatenate([np.empty(0, np.int64), *map(_starts, tables)]) // NUMBER.itemsize
    # With a row for each instance, one value too many must not make up for one too few.
    return tables if len(starts) != len(rows) or (starts == rows.offsets).all() else None


def _starts(table: Table) -> NDArray[np.int64]:
    first = table.element.properties[:1]
    lead = first[0].length.itemsize if first and first[0].length else 0
    return table.begins[:, 0] - lead if first else np.empty(0, np.int64)


def _promised(header: Header) -> str:
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
    if place + stride * element.instances <= len(body):
        steps = stride * np.arange(element.instances)[:, None]
        alike = first._replace(
            begins=first.begins + steps,
            sizes=np.repeat(first.sizes, element.instances, axis=0),
            end=place + stride * element.instances,
        )
        if all(_lengths_agree(alike, column) for column in range(len(element.properties))):
            return alike
    return _follow(body, place, element, element.instances)


def _lengths_agree(table: Table, column: int) -> bool:
    kind = table.element.properties[column].length
    if kind is None:
        return True
    begins = table.begins[:, column] - kind.itemsize
    strides = (int(begins[1] - begins[0]),)
    counts = np.ndarray((len(begins),), kind, table.body, int(begins[0]), strides)
    return bool((counts == table.sizes[:, column]).all())


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
        place,
    )


def _length_reader(kind: "np.dtype[np.generic]") -> struct.Struct:
    order = ">" if kind.str[0] == ">" else "<"
    return struct.Struct(order + CODES.get(kind.str[1:], "d"))
