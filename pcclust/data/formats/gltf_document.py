"""What a glTF file consists of: a tree of JSON, and the buffers of bytes that it names.

Source: Khronos Group, "glTF 2.0 specification" (2021), sections 3.6 and 4.4.
"""

import base64
import json
import re
import struct
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError

JSON, BINARY = 0x4E4F534A, 0x004E4942
COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Document(NamedTuple):
    """A glTF file.

    Attributes:
        path: the file.
        tree: its JSON.
        binary: the chunk of bytes that a GLB file has, or None.
        buffers: the buffers read so far, by their numbers.
    """

    path: Path
    tree: dict[str, Any]
    binary: bytes | None
    buffers: dict[int, bytes]

    def item(self, kind: str, index: int) -> dict[str, Any]:
        """Returns one of the file's ``nodes``, ``meshes``, ``accessors`` and so on."""
        items = self.tree.get(kind, [])
        if not 0 <= index < len(items):
            raise ContentError(f"names number {index} of its {len(items)} {kind}")
        return dict(items[index])

    def array(self, accessor: int, *types: str) -> NDArray[np.generic]:
        """Returns the ``(N, width)`` values of an accessor; normalized integers become floats.

        Raises:
            ContentError: its type is none of those, or its bytes are not there.
        """
        found = self.item("accessors", accessor)
        if found["type"] not in types or found["componentType"] not in COMPONENTS:
            raise ContentError(
                f"its accessor {accessor} is a {found['type']} of component type "
                f"{found['componentType']}; {' or '.join(types)} of a type of glTF is expected"
            )
        kind, width = np.dtype(COMPONENTS[found["componentType"]]), WIDTHS[found["type"]]
        count, offset = found["count"], found.get("byteOffset", 0)
        if "bufferView" in found:
            values = self._view(found["bufferView"], offset, count, kind, width).copy()
        else:  # zeros, but for what is sparse; no more than any other values in the file could be
            known = (view.get("byteLength", 0) for view in self.tree.get("bufferViews", []))
            if count > sum(known):
                raise ContentError(f"its accessor {accessor} declares {count} values without bytes")
            values = np.zeros((count, width), kind)
        if "sparse" in found:
            self._put(values, found["sparse"])
        return _normalized(values) if found.get("normalized") else values

    def _put(self, values: NDArray[np.generic], sparse: dict[str, Any]) -> None:
        count, at, new = sparse["count"], sparse["indices"], sparse["values"]
        kind = np.dtype(COMPONENTS[at["componentType"]])
        replaced = self._view(at["bufferView"], at.get("byteOffset", 0), count, kind, 1)
        rows = replaced[:, 0].astype(np.int64)
        if (rows >= len(values)).any():
            raise ContentError(f"a sparse accessor replaces value {rows.max()} of {len(values)}")
        values[rows] = self._view(
            new["bufferView"], new.get("byteOffset", 0), count, values.dtype, values.shape[1]
        )

    def _view(
        self, index: int, offset: int, count: int, kind: "np.dtype[Any]", width: int
    ) -> NDArray[np.generic]:
        view = self.item("bufferViews", index)
        buffer = self._buffer(view["buffer"], ", ".join(view.get("extensions", {})))
        begin, length = view.get("byteOffset", 0), view["byteLength"]
        size = kind.itemsize * width
        stride = view.get("byteStride", size)
        if min(begin, length, offset, count, stride - 1) < 0 or begin + length > len(buffer):
            raise ContentError(f"its buffer view {index} exceeds the {len(buffer)} bytes there are")
        if count and offset + stride * (count - 1) + size > length:
            raise ContentError(f"declares {count} values, which {length} bytes cannot hold")
        return np.ndarray((count, width), kind, buffer, begin + offset, (stride, kind.itemsize))

    def _buffer(self, index: int, extensions: str) -> bytes:
        if index not in self.buffers:
            buffer = self.item("buffers", index)
            if "uri" in buffer:
                content = _fetch(self.path, buffer["uri"])
            elif index == 0 and self.binary is not None:
                content = self.binary
            else:
                hint = f"; the extension {extensions} is not read" if extensions else ""
                raise ContentError(f"its buffer {index} has no bytes{hint}")
            if len(content) < buffer["byteLength"]:
                raise ContentError(
                    f"its buffer {index} is cut off: {len(content)} of {buffer['byteLength']} bytes"
                )
            self.buffers[index] = content
        return self.buffers[index]


def open_document(path: Path) -> Document:
    """Reads a GLB file, or a glTF file as text; buffers follow when they are asked for.

    Raises:
        ContentError: neither, cut off, or of another version of glTF than 2.
    """
    content = path.read_bytes()
    text, binary = _chunks(content) if content[:4] == b"glTF" else (content, None)
    tree = json.loads(text.decode("utf-8-sig"))
    if not isinstance(tree, dict) or "asset" not in tree:
        raise ContentError("not a glTF file: its JSON names no asset")
    version = str(tree["asset"].get("version"))
    if not version.startswith("2."):
        raise ContentError(f"glTF version {version} is not read; export it as 2.0")
    return Document(path, tree, binary, {})


def _chunks(content: bytes) -> tuple[bytes, bytes | None]:
    """Returns the JSON and the bytes of a GLB file."""
    _magic, version, length = struct.unpack("<4sII", content[:12].ljust(12, b"\0"))
    if version != 2:
        raise ContentError(f"GLB version {version} is not read; export it as 2")
    chunks, place = dict[int, bytes](), 12
    while place + 8 <= min(length, len(content)):
        size, kind = struct.unpack_from("<II", content, place)
        chunks.setdefault(kind, content[place + 8 : place + 8 + size])
        place += 8 + size
    if max(length, place) > len(content):
        raise ContentError(f"cut off: {len(content)} of {max(length, place)} bytes")
    if JSON not in chunks:
        raise ContentError("the GLB file has no JSON")
    return chunks[JSON], chunks.get(BINARY)


def _fetch(path: Path, uri: str) -> bytes:
    """Reads the bytes of a data URI, or of a file beside the glTF file."""
    if uri.startswith("data:"):
        head, _, data = uri.partition(",")
        if head.endswith(";base64"):
            return base64.b64decode(unquote(data), validate=True)
        return unquote_to_bytes(data)
    if re.match(r"[A-Za-z][\w+.-]+:", uri):
        raise ContentError(f"its buffer {uri[:80]!r} is no file beside it; fetch it first")
    for name in (unquote(uri), uri):
        if (path.parent / name).is_file():
            return (path.parent / name).read_bytes()
    raise ContentError(
        f"its buffer {uri!r} is missing: there is no file {path.parent / unquote(uri)}"
    )


def _normalized(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Maps integers to [0, 1] or [-1, 1], as section 3.6.2.2 says."""
    if values.dtype.kind == "f":
        return values
    largest = 2 ** (8 * values.itemsize - (values.dtype.kind == "i")) - 1
    return np.asarray(np.maximum(values.astype(np.float64) / largest, -1))
