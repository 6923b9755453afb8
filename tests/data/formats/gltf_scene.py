"""glTF files for tests, built piece by piece."""

import base64
import json
import struct

import numpy as np

SQUARE = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)], "<f4")
CODES = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}


class Scene:
    """A glTF file under construction, all of it in one buffer."""

    def __init__(self):
        self.data = b""
        self.tree = {"asset": {"version": "2.0"}, "accessors": [], "bufferViews": [], "meshes": []}

    def view(self, array, **more):
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes} | more
        self.data += array.tobytes() + bytes(-array.nbytes % 4)
        self.tree["bufferViews"].append(view)
        return len(self.tree["bufferViews"]) - 1

    def accessor(self, array, kind, **more):
        found = {"bufferView": self.view(array), "componentType": CODES[array.dtype.str[1:]]}
        self.tree["accessors"].append(found | {"count": len(array), "type": kind} | more)
        return len(self.tree["accessors"]) - 1

    def mesh(self, points=SQUARE, indices=(0, 1, 2, 1, 3, 2), *, attributes=None, **more):
        primitive = {"attributes": {"POSITION": self.accessor(points, "VEC3")}}
        primitive["attributes"] |= attributes or {}
        if indices is not None:
            primitive["indices"] = self.accessor(np.array(indices, "<u2"), "SCALAR")
        self.tree["meshes"].append({"primitives": [primitive | more]})
        return len(self.tree["meshes"]) - 1

    def nodes(self, *nodes, roots=(0,)):
        self.tree |= {"nodes": list(nodes), "scenes": [{"nodes": list(roots)}], "scene": 0}
        return self

    def save(self, path, uri=None):
        coded = base64.b64encode(self.data).decode()
        uri = uri or f"data:application/octet-stream;base64,{coded}"
        self.tree["buffers"] = [{"byteLength": len(self.data), "uri": uri}]
        path.write_text(json.dumps(self.tree))
        return path


def glb(tree, data, *, version=2, length=None):
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text
    body += struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", version, length or 12 + len(body)) + body
