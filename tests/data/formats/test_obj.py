"""OBJ by its grammar: where indices stand, white space, comments, continuations, other elements."""

import numpy as np
import pytest
import trimesh

from pcclust.data import Mesh, read_points
from pcclust.data.formats import obj
from pcclust.data.formats.obj import load_obj
from tests.data.formats.surfaces import area, corners, sorted_triangles

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"


def load(tmp_path, text):
    path = tmp_path / "a.obj"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_obj(path)


def test_negative_indices_count_back_from_where_they_stand(tmp_path):
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 10 0 0\nv 11 0 0\nv 10 1 0\nf -3 -2 -1\n"
    shape = load(tmp_path, text)
    np.testing.assert_array_equal(shape.faces, [[0, 1, 2], [3, 4, 5]])
    assert (read_points(tmp_path / "a.obj", 4000)[:, 0] < 5).mean() == pytest.approx(0.5, abs=0.03)
    # A line break away, they name others; and positive ones may name what follows.
    np.testing.assert_array_equal(load(tmp_path, SQUARE + "f -4 -3 -2\n").faces, [[0, 1, 2]])
    np.testing.assert_array_equal(load(tmp_path, "f 1 2 3\n" + SQUARE).faces, [[0, 1, 2]])


@pytest.mark.parametrize(
    "face",
    [
        *("f 1 2 3 4", "f 1/1 2/2 3/3 4/4", "f 1//1 2//1 3//1 4//1", "f 1/1/1 2/2/1 3/3/1 4/4/1"),
        *("f 1/ 2/ 3/ 4/", "f -4/-1 -3/-1 -2/-1 -1/-1", "f 1/1 2 3//1 4/4/4", "fo 1 2 3 4"),
        *("F 1 2 3 4", "f\t1\t2\t3\t4", "  f  1 2  3 4  ", "f 1 2 3 4 # f 1 2 3", "f +1 +2 +3 +4"),
        *(
            "f 1 2 \\\n3 4",
            "f 1 2 3\\\n4",
            "\\\nf 1 2 3 4",
            "# C:\\models\\\nf 1 2 3 4",
            "f\v1 2\f3 4",
        ),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_faces_in_every_form(tmp_path, face, end):
    assert area(load(tmp_path, (SQUARE + face).replace("\n", end))) == pytest.approx(1)


@pytest.mark.parametrize(
    "vertices",
    [
        SQUARE.replace(" ", "\t"),
        SQUARE.replace("v", "  v"),
        SQUARE.replace("v", "V"),
        SQUARE.replace("0\n", "0 # a\n"),
        SQUARE.replace("0\n", "0 1.0\n"),  # with a weight
        SQUARE.replace("0\n", "0 0.5 0.5 0.5\n"),  # with a colour
        SQUARE.replace("0\n", "0 255 0 0 255\n", 2),  # some with a colour
        SQUARE.replace("0", ".0").replace("1", "1.e+0"),
        SQUARE.replace("v 1 1", "v 1 \\\n 1"),
        "\ufeff" + SQUARE,
        "mtllib lost file.mtl\no a\ng b c\ns off\nusemtl #1\n"
        + SQUARE
        + "vt 0 0\nvn 0 0 1\nvp 1 2\n",
        "# \u00e9\n\n\n" + SQUARE + "\n \t\n",
        SQUARE + "l 1 2 3\np 1\n",
    ],
)
def test_vertices_in_every_form(tmp_path, vertices):
    shape = load(tmp_path, vertices + "f 1 2 3 4\n")
    np.testing.assert_array_equal(shape.vertices, [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)])
    assert area(shape) == pytest.approx(1)


def test_texts_of_other_encodings(tmp_path):
    text = "# st\u00fchl \u6905\u5b50\n" + SQUARE + "f 1 2 3 4\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        assert area(load(tmp_path, text.encode(encoding))) == pytest.approx(1)
    assert area(
        load(tmp_path, text.replace("\u6905\u5b50", "").encode("latin-1"))
    ) == pytest.approx(1)


@pytest.mark.parametrize("lines", ["", "p 1 2 3\n", "l 1 2 3 4\n"])
def test_vertices_without_faces_are_a_cloud(tmp_path, lines):
    shape = load(tmp_path, SQUARE + lines)
    assert not isinstance(shape, Mesh)
    assert len(shape) == 4


def test_concave_faces_of_many_corners(tmp_path):
    shape = load(tmp_path, "v 0 0 0\nv 2 0 0\nv 2 2 0\nv 1 .5 0\nv 0 2 0\nf 1 2 3 4 5\n")
    points = read_points(tmp_path / "a.obj", 5000)
    assert (points[:, 1] <= 0.5 + 1.5 * abs(points[:, 0] - 1) + 1e-6).all()
    assert area(shape) == pytest.approx(2.5)


def test_long_files_are_cut_anywhere(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    text, known = "", 0
    for _ in range(300):
        text += "".join(f"v {x} {y} {z}\n" for x, y, z in generator.normal(size=(3, 3)))
        known += 3
        text += f"f -3 {generator.integers(1, known)} -1 {known}\n"
    whole = load(tmp_path, text)
    monkeypatch.setattr(obj, "PIECE", 100)
    pieces = load(tmp_path, text)
    np.testing.assert_array_equal(whole.vertices, pieces.vertices)
    np.testing.assert_array_equal(whole.faces, pieces.faces)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SQUARE + "f 0 1 2\n", "'f 0 1 2' names vertex 0, but 4 come before it"),
        (SQUARE + "f 1 2 9\n", "vertex 9, but the 4 vertices are 1 to 4"),
        ("v 0 0 0\nf -1 -2 -3\n" + SQUARE, "'f -1 -2 -3' names vertex -2, but 1 come before it"),
        (SQUARE + "f 1 2\n", "3 corners or more, but a line is 'f 1 2'"),
        (SQUARE + "f\n", "3 corners or more, but a line is 'f'"),
        (SQUARE + "f 1 2 3 /\n", "4 numbers are expected, but 3"),
        (SQUARE + "f 1 2 x\n", "'x' is no number"),
        (SQUARE + "f 1 2 2.5\n", "2.5 is no whole number"),
        (SQUARE + "f 1 2 99999999999999999999\n", "names vertex"),
        ("v 0 0\n", "needs x, y and z, but a line is 'v 0 0'"),
        ("v 0 0 0 v 1 0 0\n", "'v' is no number"),
        ("v 0 0 1_0\n", "'1_0' is no number"),
        ("v 1,5 0 0\n", "'1,5' is no number"),
        ("v nan 0 0\n" + SQUARE + "f 1 2 3\n", r"vertices\[0\] is not finite"),
        (SQUARE + "surf 0 1 0 1 1 2 3 4\n", "surface that is curved"),
        (SQUARE + "f 1 2 3\ncurv 0 1 1 2\n", "curved"),
        (SQUARE + "call other.obj\n", "kept elsewhere"),
        (SQUARE + "face 1 2 3\n", "'face 1 2 3' is no statement of OBJ"),
        ("solid a\nendsolid\n", "'solid a' is no statement of OBJ"),
        ("vn 0 0 1\n", "no vertices"),
        ("\n", "no vertices"),
        (b"v 0 0 0\nv 1 0\0 0\n", "no text"),
    ],
)
def test_what_breaks_the_grammar_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        load(tmp_path, text)


def test_a_vertex_of_nan_that_no_face_names_does_no_harm(tmp_path):
    assert area(load(tmp_path, SQUARE + "v nan nan nan\nf 1 2 3 4\n")) == pytest.approx(1)


def test_bundled_meshes_are_as_trimesh_reads_them(request):
    """But for few concave polygons, in which trimesh's fans reach outside."""
    files = sorted((request.config.rootpath / "data" / "meshes").glob("*.obj"))
    assert len(files) == 45
    equal = 0
    for path in files[::4]:
        reference = trimesh.load_scene(path, process=False, skip_materials=True)
        triangles = np.concatenate([part.triangles for part in reference.geometry.values()])
        found = corners(load_obj(path))
        assert len(found) == len(triangles), path
        one, other = sorted_triangles(found), sorted_triangles(triangles)
        np.testing.assert_array_equal(
            np.unique(one.reshape(-1, 3), axis=0), np.unique(other.reshape(-1, 3), axis=0)
        )
        equal += np.array_equal(one, other)
    assert equal >= len(files[::4]) - 3
