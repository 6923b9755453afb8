"""The text formats of meshes read word by word in plain Python, to compare the readers with.

Each gives ``(vertices, polygons)``, lists of coordinates and of vertex numbers from 0, or raises
`UnreadableError`. What a layout may mean in several ways gives several answers.
"""

import re

import numpy as np

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eEdD][+-]?[0-9]+)?")
WHOLE = re.compile(r"[+-]?[0-9]+")


class UnreadableError(Exception):
    """The text breaks the grammar."""


def number(word):
    if not NUMBER.fullmatch(word):
        raise UnreadableError(word)
    return float(word.lower().replace("d", "e"))


def whole(word):
    value = number(word)
    if value != int(value):
        raise UnreadableError(word)
    return int(value)


def lines_of(text, comments=True):
    """Words of each line that has some."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    rows = [(line.split("#")[0] if comments else line).split() for line in lines]
    return [row for row in rows if row]


OBJ_WORDS = (
    " vt vn vp l p g s o mg usemtl usemap mtllib maplib bevel c_interp d_interp lod shadow_obj "
    "trace_obj ctech stech cstype deg bmat step parm trim hole scrv sp end con "
)


def read_obj(text):
    vertices, polygons = [], []
    unbroken = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        bare = line.split("#")[0]
        if unbroken and unbroken[-1].endswith("\\"):
            unbroken[-1] = unbroken[-1][:-1] + " " + bare
        else:
            unbroken.append(bare)
    for line in unbroken:
        keyword, *words = line.split() or [""]
        match keyword.lower():
            case "v":
                if len(words) < 3:
                    raise UnreadableError(line)
                vertices.append([number(word) for word in words][:3])
            case "f" | "fo":
                named = [whole(word.split("/")[0]) for word in words]
                if len(named) < 3 or 0 in named or min(named) < -len(vertices):
                    raise UnreadableError(line)
                polygons.append([n - 1 if n > 0 else len(vertices) + n for n in named])
            case "":
                pass
            case other if f" {other} " not in OBJ_WORDS:
                raise UnreadableError(line)
    return [(vertices, polygons)]


def read_off(text):
    rows = lines_of(text)
    stream = [(word, number == len(row) - 1) for row in rows for number, word in enumerate(row)]
    if not stream:
        raise UnreadableError("empty")
    first, ends = stream[0]
    header = re.match(r"((?:ST|st|C|c|N|4|n)*)(?i:OFF)", first)
    kinds, rest = (header[1], first[header.end() :]) if header else ("", first)
    if rest and not re.match(r"[\d-]", rest):
        raise UnreadableError(rest)
    stream[:1] = [(rest, ends)] if rest else []
    dimension = stream.pop(0)[0] if "n" in kinds and stream else "3"
    if not WHOLE.fullmatch(dimension) or int(dimension) != 3:
        raise UnreadableError("dimension")
    return _off_bodies(kinds, stream)


def _off_bodies(kinds, stream):
    if len(stream) < 2 or not all(re.fullmatch(r"-?\d+", word) for word, _ in stream[:2]):
        raise UnreadableError("counts")
    count, faces = (int(word) for word, _ in stream[:2])
    edges = stream[2:3]
    if not stream[1][1]:  # on the line of the others
        if not edges or not re.fullmatch(r"-?\d+", edges[0][0]):
            raise UnreadableError("counts")
        stream = stream[3:]
    elif edges and edges[0][1] and re.fullmatch(r"-?\d+", edges[0][0]):
        stream = stream[3:]
    else:
        stream = stream[2:]
    if count < 0 or faces < 0:
        raise UnreadableError("counts")
    rows, row = [], []
    for word, ends in stream:
        row.append(number(word))
        if ends:
            rows.append(row)
            row = []
    if row:
        rows.append(row)
    size = 3 + ("4" in kinds)
    width = size + 3 * ("N" in kinds) + 4 * ("c" in kinds.lower()) + 2 * ("st" in kinds.lower())
    answers = []
    widths = {len(row) for row in rows[:count]}
    if len(rows) == count + faces and len(widths) <= 1 and min(widths, default=size) >= size:
        for row in rows[count:]:
            if not 0 <= row[0] < len(row) or row[0] != int(row[0]):
                raise UnreadableError(row)
        polygons = [row[1 : 1 + int(row[0])] for row in rows[count:]]
        return [_off_mesh((rows[:count], polygons), size)]
    for coloured in (False, True):
        mesh = _off_words(rows, count, faces, width, coloured)
        if mesh is not None:
            answers.append(_off_mesh(mesh, size))
    if not answers:
        raise UnreadableError("body")
    return answers


def _off_words(rows, count, faces, width, coloured):
    words = [(value, row) for row, values in enumerate(rows) for value in values]
    if len(words) < count * width:
        return None
    vertices = [[words[v * width + i][0] for i in range(width)] for v in range(count)]
    words, polygons = words[count * width :], []
    for _ in range(faces):
        if not words or words[0][0] < 0 or words[0][0] != int(words[0][0]):
            return None
        size = int(words[0][0])
        if len(words) <= size:
            return None
        polygons.append([value for value, _ in words[1 : 1 + size]])
        row, words = words[size][1], words[1 + size :]
        while coloured and words and words[0][1] == row:
            words = words[1:]
    return None if words else (vertices, polygons)


def _off_mesh(mesh, size):
    vertices, polygons = mesh
    for polygon in polygons:
        if any(corner != int(corner) for corner in polygon):
            raise UnreadableError(polygon)
    if size == 4:
        with np.errstate(divide="ignore", invalid="ignore"):
            vertices = [list(np.array(vertex) / vertex[3]) for vertex in vertices]
    points = [vertex[:3] for vertex in vertices]
    return points, [[int(corner) for corner in polygon] for polygon in polygons]


def read_stl(text):
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    words = [(word, row) for row, line in enumerate(lines) for word in line.split()]
    vertices, polygons, opened = [], [], 0
    place = 0

    def take(*expected):
        nonlocal place
        for word in expected:
            if place >= len(words) or words[place][0].lower() != word:
                raise UnreadableError(word)
            place += 1

    def peek(ahead=0):
        return words[place + ahead][0].lower() if place + ahead < len(words) else ""

    def skip_name():
        nonlocal place
        row = words[place - 1][1]
        while place < len(words) and words[place][1] == row:
            if peek() == "facet" and peek(1) == "normal":
                return
            place += 1

    while place < len(words):
        if peek() in ("solid", "endsolid") or (peek(), peek(1)) == ("end", "solid"):
            opened += 1 if peek() == "solid" else -1
            place += 2 if peek() == "end" else 1
            skip_name()
            continue
        take("facet")
        if peek() == "normal":
            place += 4
        take("outer", "loop")
        polygons.append([])
        while peek() == "vertex":
            polygons[-1].append(len(vertices))
            vertices.append([number(peek(i)) for i in (1, 2, 3)])
            place += 4
        for word in ("loop", "facet"):
            take(*([f"end{word}"] if peek() == f"end{word}" else ["end", word]))
        if len(polygons[-1]) < 3:
            raise UnreadableError("corners")
    if opened:
        raise UnreadableError("endsolid")
    return [(vertices, polygons)]
