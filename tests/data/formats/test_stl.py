"""STL: text and binary told apart by length, spare bytes, names, several solids."""

import struct

import numpy as np
import pytest
import trimesh

from pcclust.data.formats.stl import TRIANGLE, load_stl
from tests.data.formats.surfaces import area, corners, sorted_triangles

FACET = (
    "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\n"
)
TEXT = f"solid a\n{FACET}endsolid a\n"


def binary(count=1, *, head=b"made by CAD", declared=None, attribute=0):
    rows = np.zeros(count, TRIANGLE)
    rows["corners"] = [(0, 0, 0), (1, 0, 0), (0, 1, 0)]
    rows["attribute"] = attribute
    return (
        head.ljust(80) + struct.pack("<I", count if declared is None else declared) + rows.tobytes()
    )


def load(tmp_path, content):
    path = tmp_path / "a.stl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_stl(path)


@pytest.mark.parametrize(
    "content",
    [
        *(
            binary(head=head)
            for head in (b"", b"solid", b"solid made by CAD", b"facet ", b"\0" * 80)
        ),
        *(binary(head=b"solid a") + spare for spare in (b"\0", b"\0\0", b"ab", b"\n" * 7)),
        binary() + bytes(50),  # zeros are no triangle
        binary() + b"made with a long note" * 9,
        binary(attribute=0x7FFF),
        TEXT,
        TEXT.upper(),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        TEXT.replace("\n", "\n\n  \t"),
        TEXT.replace(" ", "\t"),
        TEXT.replace(" a", ""),
        TEXT.replace("endloop", "end loop").replace("endfacet", "end facet"),
        TEXT.replace(" a", " vertex cover of 1 2 3"),
        TEXT.replace(" a", " solid facet, endsolid"),
        TEXT.replace(" a", " st\u00fchl").encode("latin-1"),
        TEXT.replace(" a", " st\u00fchl"),
        TEXT.encode("utf-16"),
        "\ufeff" + TEXT,
        "\n  " + TEXT,
        TEXT.replace("\n", " ").replace("endsolid a", "\nendsolid a"),
        "solid a " + FACET.replace("\n", " ") + "endsolid",
        FACET,
        TEXT.replace("1 0 0", "1.0E+00 -0.0 +.0"),
        TEXT.replace("0 0 1\n", "nan nan nan\n"),  # of the normal, which is not used
    ],
)
def test_one_triangle_in_every_form(tmp_path, content):
    shape = load(tmp_path, content)
    np.testing.assert_array_equal(corners(shape), [[(0, 0, 0), (1, 0, 0), (0, 1, 0)]])


def test_all_solids_are_read(tmp_path):
    other = TEXT.replace("vertex 0", "vertex 10")
    assert area(load(tmp_path, TEXT + other)) > area(load(tmp_path, TEXT))
    assert len(load(tmp_path, TEXT + other + TEXT).faces) == 3


def test_loops_of_more_corners_are_cut(tmp_path):
    loop = "vertex 0 0 0\nvertex 2 0 0\nvertex 2 2 0\nvertex 1 .5 0\nvertex 0 2 0\n"
    text = TEXT.replace("vertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\n", loop)
    assert area(load(tmp_path, text)) == pytest.approx(2.5)


@pytest.mark.parametrize("kind", ["stl", "stl_ascii"])
def test_meshes_of_trimesh(tmp_path, kind):
    mesh = trimesh.creation.icosphere(2)
    (tmp_path / "a.stl").write_bytes(
        content if isinstance(content := mesh.export(file_type=kind), bytes) else content.encode()
    )
    reference = trimesh.load(tmp_path / "a.stl", process=False)
    found = sorted_triangles(corners(load_stl(tmp_path / "a.stl")))
    np.testing.assert_allclose(found, sorted_triangles(reference.triangles), atol=1e-12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (binary(2)[:-1], "183 bytes cannot hold the 2 triangles"),
        (binary(declared=10**9), "cannot hold the 1000000000 triangles"),
        (binary(3, declared=2), "declares 2 triangles, but 3 follow"),
        (binary(3, declared=0), "declares 0 triangles, but 3 follow"),
        (b"anything", "not an STL file"),
        (TEXT.replace("endsolid a\n", ""), "cut off: a solid has no endsolid"),
        (TEXT[:60], "breaks its grammar, or is cut off, at 'facet normal"),
        (TEXT.replace("vertex 1 0 0\n", ""), "an STL facet has 2 corners"),
        (TEXT.replace("vertex 1 0 0", "vertex 1 0"), "breaks its grammar"),
        (TEXT.replace("vertex 1 0 0", "vertex 1 0 x"), "'x' is no number"),
        (TEXT.replace("vertex 1 0 0", "vertex 1 0 1,5"), "breaks its grammar"),
        (TEXT.replace("vertex 1 0 0", "vertex nan 0 0"), r"vertices\[1\] is not finite"),
        (TEXT.replace("endfacet", "endfacet junk"), "breaks its grammar.* at 'junk"),
        ("solid\nendsolid\n", "no vertices"),
        (binary(0), "no vertices"),
    ],
)
def test_what_breaks_the_grammar_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        load(tmp_path, content)
