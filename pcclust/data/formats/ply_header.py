"""Headers of PLY files: the elements they declare and the properties of each.

Source: Turk, "The PLY polygon file format" (1994).
"""

import re
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from pcclust.data._parse_errors import ContentError

TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"},
    **{"int64": "i8", "uint64": "u8"},
}
Order: TypeAlias = Literal["", "<", ">"]
ORDERS: dict[str, Order] = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r)")
LONGEST = 1 << 20  # bytes of a header


class Property(NamedTuple):
    """A value of each instance of an element, or a list of them where ``length`` has a type."""

    name: str
    value: np.dtype[np.generic]
    length: np.dtype[np.generic] | None = None


class Element(NamedTuple):
    """What a header declares: so many vertices, faces or others, and their properties."""

    name: str
    instances: int
    properties: list[Property]

    @property
    def names(self) -> str:
        """The names of the properties, for messages."""
        return ", ".join(p.name for p in self.properties) or "none"


class Header(NamedTuple):
    """A header: the byte order, empty for text, the elements, and where the body begins."""

    order: Order
    elements: list[Element]
    end: int


def read_header(content: bytes) -> Header:
    """Reads the header of a PLY file.

    Raises:
        ContentError: no PLY file, no end of the header, or a line that is no part of one.
    """
    if not re.match(rb"ply[^\S\r\n]*[\r\n]", content):
        raise ContentError("not a PLY file: it does not begin with a line 'ply'")
    # Where lines end with a lone return, a line feed that follows the last is data already.
    returns = re.match(rb"ply[^\S\r\n]*\r(?!\n)", content) is not None
    order: Order | None = None
    elements, place = list[Element](), 0
    while place < min(len(content), LONGEST):
        match = LINE.match(content, place)
        if match is None:
            break
        ending = 1 if returns else len(match[2])
        place = match.end(1) + ending
        words = match[1].decode(errors="replace").split()
        if words == ["end_header"]:
            if order is None:
                raise ContentError("the PLY header has no line 'format'")
            _check_names(elements)
            return Header(order, [_in_order(element, order) for element in elements], place)
        order = _read_line(words, elements, order)
    raise ContentError("the PLY header has no line 'end_header'")


def _read_line(words: list[str], elements: list[Element], order: Order | None) -> Order | None:
    match words:
        case [] | ["ply" | "comment" | "obj_info", *_]:
            return order
        case ["format", kind, *_] if kind.lower() in ORDERS and not elements:
            return ORDERS[kind.lower()]
        case ["element", name, count] if count.isascii() and count.isdigit():
            elements.append(Element(name.lower(), int(count), []))
            return order
        case ["property", "list", count, value, name] if elements:
            elements[-1].properties.append(_list(name.lower(), count.lower(), value.lower()))
            return order
        case ["property", value, name] if elements and value.lower() in TYPES:
            elements[-1].properties.append(Property(name.lower(), np.dtype(TYPES[value.lower()])))
            return order
    raise ContentError(f"the PLY header has a line that is none: {' '.join(words)[:60]!r}")


def _list(name: str, count: str, value: str) -> Property:
    if not {count, value} <= TYPES.keys() or TYPES[count].startswith("f"):
        raise ContentError(f"the PLY list {name!r} has types that are none: {count}, {value}")
    return Property(name, np.dtype(TYPES[value]), np.dtype(TYPES[count]))


def _in_order(element: Element, order: Order) -> Element:
    """Gives the types of the properties their byte order."""
    properties = [
        p._replace(
            value=p.value.newbyteorder(order or "="),
            length=None if p.length is None else p.length.newbyteorder(order or "="),
        )
        for p in element.properties
    ]
    return element._replace(properties=properties)


def _check_names(elements: list[Element]) -> None:
    for what, names in (
        ("elements", [element.name for element in elements]),
        *((f"properties of {e.name!r}", [p.name for p in e.properties]) for e in elements),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ContentError(f"the PLY header has several {what} called {twice[0]!r}")
