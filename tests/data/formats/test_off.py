"""OFF by its grammar: headers, counts, words over any lines, colours; and what is refused."""

import numpy as np
import pytest
import trimesh

from pcclust.data import Mesh, read_points
from pcclust.data.formats.off import load_off
from tests.data.formats.surfaces import area, corners, sorted_triangles

Q = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
F = "4 0 1 2 3\n"


def load(tmp_path, text):
    path = tmp_path / "a.off"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_off(path)


def with_each(row):
    return Q.replace("\n", f" {row}\n")


@pytest.mark.parametrize(
    "text",
    [
        *(head + Q + F for head in ("OFF\n4 1 0\n", "OFF4 1 0\n", "OFF 4 1 0\n", "off\n4 1 0\n")),
        *(
            head + Q + F
            for head in ("4 1 0\n", "4 1\n", "OFF\n4 1\n", "OFF\n4\n1\n0\n", "OFF 4\n1 0\n")
        ),
        *(head + Q + F for head in ("OFF\n4 1\n0\n", "nOFF 3\n4 1 0\n", "nOFF\n3\n4 1 0\n")),
        *(
            head + Q + F
            for head in ("# OFF by hand\nOFF # x\n\n4 1 0 # n\n", "\n\n OFF\n\n\t4 1 0\n")
        ),
        ("OFF\n4 1 0\n" + Q + F).replace("\n", "\r\n"),
        ("OFF\n4 1 0\n" + Q + F).replace("\n", "\r"),
        ("OFF\n4 1 0\n" + Q + F).replace(" ", "\t "),
        ("OFF 4 1 0 " + Q + F).replace("\n", " "),  # all on one line
        ("OFF\n4 1 0\n" + Q + F).replace(" ", "\n"),  # a word a line
        "OFF\n4 1 0\n" + Q.replace("1 1 0\n", "1 1 0 # p\n# mid\n\n") + F,
        "OFF\n4 1 0\n" + Q + "4 0 1 2 3 255 0 0\n",
        "OFF\n4 1 0\n" + Q + "4 0 1 2 3 0.5 0.5 0.5 1.0\n",
        "OFF\n4 1 0\n" + Q + "4 0 1\n2 3 7\n",  # a colour after a line break
        "COFF\n4 1 0\n" + with_each("255 0 0 255") + F,
        "COFF\n4 1 0\n" + with_each("255 0 0") + F,
        "COFF\n4 1 0\n" + with_each("1 0 0 1").replace("\n", " ") + F,
        "OFF\n4 1 0\n" + with_each("0 0 1") + F,  # more than the header says, in every row
        "NOFF\n4 1 0\n" + with_each("0 0 1") + F,
        "NCOFF\n4 1 0\n" + with_each("0 0 1 1 1 1 1") + F,
        "CNOFF\n4 1 0\n" + with_each("0 0 1 1 1 1 1") + F,
        "STOFF\n4 1 0\n" + with_each(".5 .5") + F,
        "STCN4OFF\n4 1 0\n" + with_each("1 0 0 1 1 0 0 1 .5 .5") + F,
        "4OFF\n4 1 0\n0 0 0 2\n2 0 0 2\n1 1 0 1\n0 3 0 3\n" + F,  # divided by the fourth
        "4OFF 4 1 0\n" + with_each("1") + F,
        "OFF\n4 3 0\n" + Q + F + "2 0 1\n1 2\n",  # a line and a point among the faces
        "OFF\n4 1 0\n" + Q.replace("1", "1.0e+0") + "4 0 1.0 2 3\n",
        "\ufeffOFF\n4 1 0\n" + Q + F,
    ],
)
def test_layouts_of_one_square(tmp_path, text):
    assert area(load(tmp_path, text)) == pytest.approx(1)
    for seed in range(3):
        points = read_points(tmp_path / "a.off", 300, seed)
        assert points.min() >= 0
        assert points.max() <= 1


def test_faces_of_many_sizes_and_concave_ones(tmp_path):
    vertices = "0 0 0\n2 0 0\n2 2 0\n1 .5 0\n0 2 0\n5 5 5\n"
    text = "OFF\n6 3 0\n" + vertices + "5 0 1 2 3 4\n3 0 1 5 1 2 3\n4 5 4 3 2\n"
    shape = load(tmp_path, text)
    assert len(shape.faces) == 6
    np.testing.assert_array_equal(shape.faces[3], [0, 1, 5])
    concave = Mesh(shape.vertices, shape.faces[:3])
    assert area(concave) == pytest.approx(2.5)


def test_meshes_of_trimesh(tmp_path):
    for mesh in (trimesh.creation.icosphere(2), trimesh.creation.annulus(1, 2, 3)):
        mesh.export(tmp_path / "a.off")
        reference = trimesh.load(tmp_path / "a.off", process=False)
        found = sorted_triangles(corners(load_off(tmp_path / "a.off")))
        np.testing.assert_array_equal(found, sorted_triangles(reference.triangles))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"OFF BINARY\n" + bytes(40), "binary OFF|no text"),
        ("OFF BINARY\n4 1 0\n", "binary OFF"),
        ("nOFF 4\n4 1 0\n" + with_each("1") + F, "dimension 4; points need dimension 3"),
        ("OFF\n4 1 0\n" + Q + F + F, "declares 4 vertices and 1 faces, but 6 rows follow"),
        ("OFF\n3 1 0\n" + Q + F, "declares 3 vertices and 1 faces, but 5 rows follow"),
        ("OFF\n4 2 0\n" + Q + F, "declares 4 vertices and 2 faces, but 5 rows follow"),
        ("OFF\n4 1 0\n" + Q + "5 0 1 2 3\n", "face is cut off: '5 0 1 2 3'"),
        ("OFF\n4 1 0\n" + Q + "4 0 1 2 3.5\n", "names vertex 3.5"),
        ("OFF\n4 1 0\n" + Q + "4 0 1 2 -1\n", "names vertex -1"),
        ("OFF\n4 1 0\n" + Q + "4 1 2 3 4\n", "names vertex 4, but the 4 vertices are 0 to 3"),
        ("OFF\n4 1 0\n" + Q + "-4 0 1 2 3\n", "cut off"),
        (
            "OFF\n4 1 0\n" + Q.replace("1 1 0", "1 1 0 0") + F,
            "the rows of its vertices have 3 to 4",
        ),
        ("OFF\n4 1 0\n" + Q.replace("1 1 0", "1 x 0") + F, "'x' is no number"),
        ("4OFF\n4 1 0\n" + with_each("0") + F, "not finite"),
        ("OFF\n1000000000000 1 0\n" + Q + F, "declares 1000000000000 vertices"),
        ("OFF\n4 999999999999 0\n" + Q + F, "declares 4 vertices and 999999999999"),
        ("OFFSET 4 1 0\n" + Q + F, "does not begin with OFF"),
        ("OFF\n0 0 0\n", "no vertices"),
        ("OFF\nfour one\n", "no vertex and face counts"),
    ],
)
def test_what_breaks_the_grammar_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        load(tmp_path, text)
