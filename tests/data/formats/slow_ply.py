"""PLY text read word by word in plain Python, like the formats of `slow_readers`."""

import re

from tests.data.formats.slow_readers import UnreadableError, number, whole

PLY_TYPE = re.compile("u?(char|short|int|int8|int16|int32|int64)|float|double|float32|float64")


def read_ply(text):
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if lines[0].split() != ["ply"] or not lines[0].startswith("ply"):
        raise UnreadableError("magic")
    elements, ascii_, end = [], False, None
    for place, line in enumerate(lines[1:-1], 1):
        words = line.split()
        match words:
            case ["end_header"]:
                end = place + 1
                break
            case [] | ["comment" | "obj_info" | "ply", *_]:
                pass
            case ["format", kind, *_] if kind.lower() == "ascii" and not elements:
                ascii_ = True
            case ["element", name, count] if re.fullmatch("[0-9]+", count):
                elements.append((name.lower(), int(count), []))
            case ["property", "list", count, kind, name] if elements:
                known = all(PLY_TYPE.fullmatch(name.lower()) for name in (count, kind))
                if not known or count.lower().startswith(("f", "d")):
                    raise UnreadableError(line)
                elements[-1][2].append((name.lower(), True))
            case ["property", kind, name] if elements and PLY_TYPE.fullmatch(kind.lower()):
                elements[-1][2].append((name.lower(), False))
            case _:
                raise UnreadableError(line)
    if end is None or not ascii_:
        raise UnreadableError("header")
    for names in ([e[0] for e in elements], *([p[0] for p in e[2]] for e in elements)):
        if len({*names}) < len(names):
            raise UnreadableError("twice")
    return [_ply_mesh(_ply_body(elements, lines[end:]))]


def _ply_body(elements, lines):
    rows = [row for row in (line.split() for line in lines) if row]
    words = [(word, place == 0) for row in rows for place, word in enumerate(row)]
    aligned = len(rows) == sum(count for _, count, properties in elements if properties)
    found = {}
    for name, count, properties in elements:
        instances = []
        if properties and count > len(words):
            raise UnreadableError("short")
        for _ in range(count if properties else 0):
            if aligned and words and not words[0][1]:
                raise UnreadableError("ragged rows")
            instance = {}
            for key, is_list in properties:
                length = 1
                if not words:
                    raise UnreadableError("short")
                if is_list:
                    length = whole(words.pop(0)[0])
                if not 0 <= length <= len(words):
                    raise UnreadableError("short")
                values = [number(word) for word, _ in words[:length]]
                words = words[length:]
                instance[key] = values if is_list else values[0]
            instances.append(instance)
        found[name] = (instances, properties)
    if words:
        raise UnreadableError("long")
    return found


def _ply_mesh(elements):
    if "vertex" not in elements:
        raise UnreadableError("vertex")
    vertices, properties = elements["vertex"]
    if not {("x", False), ("y", False), ("z", False)} <= {*properties}:
        raise UnreadableError("x y z")
    polygons = []
    for name, (instances, properties) in elements.items():
        keys = [key for key, is_list in properties if is_list and key.startswith("vertex_ind")]
        keys = [key for key in keys if key in ("vertex_indices", "vertex_index")]
        if name in ("vertex", "edge", "range_grid") or not instances:
            continue
        if name not in ("face", "tristrips"):
            if keys:
                raise UnreadableError(name)
            continue
        if not keys:
            raise UnreadableError("corners")
        for instance in instances:
            corners = instance[keys[0]]
            if any(corner != int(corner) for corner in corners):
                raise UnreadableError(corners)
            corners = [int(corner) for corner in corners]
            polygons += [corners] if name == "face" else _strip(corners)
    return [[v["x"], v["y"], v["z"]] for v in vertices], polygons


def _strip(corners):
    triangles, strip = [], []
    for corner in corners:
        strip = [] if corner == -1 else [*strip, corner]
        if len(strip) >= 3:
            a, b, c = strip[-3:]
            triangles.append([a, b, c] if len(strip) % 2 else [b, a, c])
    return triangles
