"""Text formats in every layout their grammars allow, and damaged: read like a slow tokenizer does.

A file as a program may write it must be read. A damaged one may be refused; where it is read, the
tokenizer of the test must find the same in it.
"""

import numpy as np
import pytest

from pcclust.data._parse_errors import ContentError
from pcclust.data.formats import BY_SUFFIX
from pcclust.data.mesh import Mesh, Polygons, shape_of
from tests.data.formats.slow_ply import read_ply
from tests.data.formats.slow_readers import UnreadableError, read_obj, read_off, read_stl

SLOW = {"obj": read_obj, "off": read_off, "ply": read_ply, "stl": read_stl}


class Writer:
    """Writes random meshes in random layouts."""

    def __init__(self, generator):
        self.draw = generator
        self.ends = self.choose(["\n", "\n", "\r\n", "\r"])
        self.comments = self.draw.random() < 0.3
        self.aligned = True  # a row for each instance
        self.vertices = self.draw.normal(size=(self.draw.integers(3, 9), 3)).round(3).tolist()
        count = self.draw.integers(0, 5) if self.draw.random() < 0.8 else 0
        self.polygons = [self.polygon() for _ in range(count)]

    def choose(self, options):
        return options[self.draw.integers(len(options))]

    def polygon(self):
        size = self.draw.integers(3, min(len(self.vertices), 6) + 1)
        return self.draw.permutation(len(self.vertices))[:size].tolist()

    def number(self, value):
        forms = ["{:.3f}", "{:g}", "{:e}", "{:+.3f}", "{:.3E}", "{:.6f}"]
        text = self.choose(forms).format(value)
        short = text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
        return self.choose([text, text, short])

    def row(self, *words):
        gap = self.choose([" ", " ", "\t", "  ", " \t"])
        lead = self.choose(["", "", "", " ", "\t"])
        tail = self.choose(["", "", "", " ", "  \t"])
        note = self.choose(["", " # note", "# 1 2 3"]) if self.comments else ""
        blank = self.choose(["", "", "", self.ends, " " + self.ends])
        return blank + lead + gap.join(map(str, words)) + tail + note + self.ends

    def coordinates(self, vertex):
        return [self.number(value) for value in vertex]

    def obj(self):
        relative, style = (
            self.draw.random() < 0.4,
            self.choose(["{}", "{}/{}", "{}//{}", "{}/{}/{}", "{}/"]),
        )
        colour = self.choose([[], [], [1], [0.1, 0.2, 0.3]])
        text = self.row("mtllib", "lost file.mtl") if self.draw.random() < 0.3 else ""
        waiting = list(self.polygons)
        for known, vertex in enumerate(self.vertices, 1):
            keyword = self.choose(["v", "v", "v", "V"])
            text += self.row(keyword, *self.coordinates(vertex), *colour)
            if self.draw.random() < 0.3:
                text += self.row(
                    *self.choose(
                        [
                            ["vn", 0, 0, 1],
                            ["vt", 0.5, 0.5],
                            ["g", "a b"],
                            ["o"],
                            ["s", "off"],
                            ["p", 1],
                            ["l", 1, 2],
                        ]
                    )
                )
            for polygon in [p for p in waiting if max(p) < known]:
                if self.draw.random() < 0.5 or known == len(self.vertices):
                    waiting.remove(polygon)
                    named = [c - known if relative else c + 1 for c in polygon]
                    words = [style.format(c, c, c) for c in named]
                    if self.draw.random() < 0.2:
                        words.insert(2, "\\" + self.ends)
                    text += self.row(self.choose(["f", "f", "f", "fo"]), *words)
        return text.replace("\\" + self.ends + " # ", "\\" + self.ends)

    def off(self):
        kind = self.choose(["", "", "C", "N", "ST", "4", "n", "STCN", "NC"])
        extra = [1.0] * ("4" in kind) + [0.0] * (
            3 * ("N" in kind) + 4 * ("C" in kind) + 2 * ("ST" in kind)
        )
        counts = [len(self.vertices), len(self.polygons), 0]
        if self.draw.random() < 0.2:
            counts.pop()
        dimension = self.row(3) if kind == "n" else ""
        glued = "" if kind else self.choose(["", " ", self.ends])
        head = f"{kind}OFF" + (glued if glued == "" and not dimension else self.ends)
        head = self.choose(["", head]) if not kind and self.draw.random() < 0.3 else head
        if head.endswith("OFF"):
            head += " ".join(map(str, counts)) + self.ends
        else:
            head += dimension + self.row(*counts)
        colours = self.choose([[], [], [255, 0, 0], [0.5, 0.5, 0.5, 1.0]])
        vertices = [[*self.coordinates(v), *extra] for v in self.vertices]
        faces = [[len(p), *p] for p in self.polygons]
        if self.draw.random() < 0.2 and len(counts) == 3:  # words, wherever lines end
            words = [str(word) for row in (*vertices, *faces) for word in row]
            return head + "".join(word + self.choose([" ", " ", self.ends]) for word in words)
        rows = [self.row(*row) for row in vertices] + [self.row(*row, *colours) for row in faces]
        return head + "".join(rows)

    def ply(self):
        self.comments = False
        order = self.draw.permutation([0, 1, 2, 3])
        names = [*self.choose(["xyz", "XYZ"]), "quality"]
        lists = self.draw.permutation([0, 1, 2])[: self.draw.integers(1, 4)].tolist()
        lists = lists if 0 in lists else [0, *lists]
        of_faces = [
            "property list uchar int " + self.choose(["vertex_indices", "vertex_index"]),
            "property list uint8 float texcoord",
            "property uchar red",
        ]
        head = [
            "ply",
            "format ascii 1.0",
            "comment x element vertex 9",
            f"element vertex {len(self.vertices)}",
        ]
        head += [
            f"property {self.choose(['float', 'double', 'float32'])} {names[i]}" for i in order
        ]
        edges = self.draw.integers(0, 3)
        head += [f"element edge {edges}", "property int vertex1", "property int vertex2"]
        if self.polygons:
            head += [f"element face {len(self.polygons)}", *(of_faces[i] for i in lists)]
        head += ["obj_info by a fuzz", "end_header"]
        rows = [[[*self.coordinates(v), "7"][i] for i in order] for v in self.vertices]
        rows += [[0, 1]] * edges
        for polygon in self.polygons:
            parts = [[len(polygon), *polygon], [2, 0.5, 0.5], [255]]
            rows.append([word for i in lists for word in parts[i]])
        text = "".join(line + self.ends for line in head)
        if self.draw.random() < 0.2:
            self.aligned = False
            words = [str(word) for row in rows for word in row]
            return text + "".join(word + self.choose([" ", " ", self.ends]) for word in words)
        return text + "".join(self.row(*row) for row in rows)

    def stl(self):
        self.comments = False
        name = self.choose(["", "a part", "vertex cover", "facets of 1 2 3", "st\u00fchl"])
        text = self.row("solid", name)
        for number, polygon in enumerate(self.polygons):
            if number and self.draw.random() < 0.2:
                text += self.row("endsolid", name) + self.row("solid")
            words = ["facet", "normal", 0, 0, 1, "outer", "loop"]
            for corner in polygon:
                words += ["vertex", *self.coordinates(self.vertices[corner])]
            words += self.choose([["endloop", "endfacet"], ["end", "loop", "end", "facet"]])
            if self.draw.random() < 0.3:
                text += self.row(*words)
            else:
                text += (
                    "".join(f"{word}{self.choose([' ', self.ends])}" for word in words) + self.ends
                )
        text += self.row("endsolid", name)
        return text.upper().replace("\u00dc", "\u00fc") if self.draw.random() < 0.2 else text


def damaged(generator, text):
    """Changes a few characters or words of a text."""
    for _ in range(generator.integers(1, 4)):
        place = int(generator.integers(len(text) + 1))
        lines = text.split("\n")
        row = int(generator.integers(len(lines)))
        words = text.split(" ")
        match generator.integers(7):
            case 0:
                text = text[:place] + text[place + 1 :]
            case 1:
                text = (
                    text[:place] + "0193-.e\t\n \r#/\\fvxn"[generator.integers(18)] + text[place:]
                )
            case 2:
                text = text[:place]
            case 3:
                text = "\n".join([*lines[:row], *lines[row + 1 :]])
            case 4:
                text = "\n".join([*lines[: row + 1], *lines[row:]])
            case 5:
                i, j = generator.integers(len(words), size=2)
                words[i], words[j] = words[j], words[i]
                text = " ".join(words)
            case 6:
                words[generator.integers(len(words))] = [
                    "99",
                    "-1",
                    "0",
                    "1e999",
                    "x",
                    "1_0",
                    "1d1",
                    "3.0",
                ][generator.integers(8)]
                text = " ".join(words)
    return text


def load(path):
    with BY_SUFFIX[path.suffix].open(path) as shapes:
        return shapes[0]


def expected_shapes(suffix, text):
    """What the tokenizer of the test reads, as shapes; none where it reads nothing."""
    shapes = []
    try:
        answers = SLOW[suffix](text)
    except (UnreadableError, OverflowError):
        return []
    for vertices, polygons in answers:
        sizes = np.array([len(polygon) for polygon in polygons], np.int64)
        corners = np.array([c for polygon in polygons for c in polygon], np.int64)
        try:
            shapes.append(shape_of(np.array(vertices).reshape(-1, 3), Polygons(corners, sizes)))
        except ContentError:
            continue
    return shapes


def equal(one, other):
    if isinstance(one, Mesh) != isinstance(other, Mesh):
        return False
    parts = zip(one, other, strict=True) if isinstance(one, Mesh) else [(one, other)]
    return all(np.array_equal(a, b, equal_nan=True) for a, b in parts)


def check(path, generator, damage):
    writer = Writer(generator)
    text = getattr(writer, path.suffix[1:])()
    if damage:
        text = damaged(generator, text)
    path.write_bytes(text.encode("latin-1"))
    expected = expected_shapes(path.suffix[1:], text)
    try:
        found = load(path)
    except ContentError as error:
        lacking = not writer.polygons and "no vertices" in str(error)
        # As many rows as instances, but others, are refused: two mistakes may look like that.
        crossed = not writer.aligned and "other numbers of values" in str(error)
        if not (damage or lacking or crossed):
            pytest.fail(f"refused: {error}\n{text}")
        return
    assert any(equal(found, shape) for shape in expected), (found, expected, text)


@pytest.mark.parametrize("suffix", SLOW)
@pytest.mark.parametrize("damage", [False, True])
def test_layouts(tmp_path, suffix, damage):
    for seed in range(100):
        check(tmp_path / f"a.{suffix}", np.random.default_rng([seed, damage]), damage)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SLOW)
@pytest.mark.parametrize("damage", [False, True])
def test_twenty_thousand_layouts(tmp_path, suffix, damage):
    for seed in range(2_500):
        check(tmp_path / f"a.{suffix}", np.random.default_rng([seed, damage]), damage)
