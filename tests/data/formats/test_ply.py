"""PLY: text and both byte orders, any properties in any order, lists, strips; what is refused."""

import struct

import numpy as np
import pytest
import trimesh

from pcclust.data import Mesh, read_points
from pcclust.data.formats.ply import load_ply
from tests.data.formats.surfaces import area, corners, crosses, sorted_triangles

XYZ = "property float x\nproperty float y\nproperty float z\n"
LIST = "property list uchar int vertex_indices\n"
Q = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
VERTICES, FACES = "element vertex 4\n" + XYZ, "element face 1\n" + LIST
ORDERS = {"<": "binary_little_endian", ">": "binary_big_endian"}


def text(head, body):
    return f"ply\nformat ascii 1.0\n{head}end_header\n{body}"


def load(tmp_path, content):
    path = tmp_path / "a.ply"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_ply(path)


SQUARE = text(VERTICES + FACES, Q + "4 0 1 2 3\n")


@pytest.mark.parametrize(
    "content",
    [
        SQUARE,
        SQUARE.replace("\n", "\r\n"),
        SQUARE.replace("\n", "\r"),
        SQUARE.replace("vertex_indices", "vertex_index"),
        SQUARE.replace("vertex_indices", "Vertex_Indices").replace("float x", "float X"),
        SQUARE.replace("list uchar int", "list uint8 uint32"),
        SQUARE.replace("list uchar int", "list int32 int16"),
        SQUARE.replace(
            "\nelement face", "\ncomment element face 9\nobj_info by hand\n\nelement face"
        ),
        SQUARE.replace("1.0\n", "1.0\ncomment st\u00fchl\n").encode("latin-1"),
        SQUARE.replace("1 1 0\n", "1 1\n0\n").replace("4 0 1", "4\n0 1\n"),
        text(VERTICES + FACES, (Q + "4 0 1 2 3").replace("\n", " ")),
        text(VERTICES + FACES, (Q + "4 0 1 2 3").replace("\n", "\n\n\t ")),
        text(
            "element vertex 4\nproperty uchar red\nproperty double z\n"
            "property list uchar int views\nproperty float y\nproperty float x\n" + FACES,
            "9 0 0 0 0\n9 0 2 7 7 0 1\n9 0 0 1 1\n9 0 1 5 1 0\n4 0 1 2 3\n",
        ),
        text(
            VERTICES + "element edge 1\nproperty int vertex1\nproperty int vertex2\n" + FACES,
            Q + "0 1\n4 0 1 2 3\n",
        ),
        text(
            VERTICES + "element face 2\nproperty list uchar float texcoord\n" + LIST,
            Q + "6 0 0 1 0 1 1 3 0 1 2\n0 3 0 2 3\n",
        ),
        text(FACES + VERTICES, "4 0 1 2 3\n" + Q),
        text(VERTICES + "element face 2\n" + LIST, Q + "4 0 1 2 3\n2 0 1\n"),
        text(
            VERTICES + "element tristrips 1\nproperty list int int vertex_indices\n",
            Q + "4 0 1 3 2",
        ),
        text(
            VERTICES + "element tristrips 1\nproperty list int int vertex_indices\n",
            Q + "8 0 1 3 -1 1 2 3 -1",
        ),
    ],
)
def test_layouts_of_one_square(tmp_path, content):
    shape = load(tmp_path, content)
    assert area(shape) == pytest.approx(1)
    assert shape.vertices.max() == 1
    assert (crosses(shape)[:, 2] > 0).all()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["f4", "f8", "i2", "u1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("count", ["u1", "i2", "u4"])
def test_binary_files(tmp_path, order, kind, end, count):
    names = {"f4": "float", "f8": "double", "i2": "short", "u1": "uchar", "u4": "uint32"}
    coordinates = "".join(f"property {names[kind]} {axis}\n" for axis in "zyx")
    head = f"ply\nformat {ORDERS[order]} 1.0\nelement vertex 10\n{coordinates}property uchar red\n"
    head += f"element face 3\nproperty ushort a\nproperty list {names[count]} int vertex_index\n"
    head += "property list uchar short more\nend_header\n"
    rows = np.zeros(
        10, [("z", order + kind), ("y", order + kind), ("x", order + kind), ("r", "u1")]
    )
    rows["x"], rows["y"], rows["z"] = (
        np.arange(10),
        np.arange(10) ** 2,
        10,
    )  # a line feed comes first
    code = {"u1": "B", "i2": "h", "u4": "I"}[count]
    body = b""
    for polygon in ([0, 1, 2], [2, 3, 4, 5, 6], [9, 8, 7]):
        body += struct.pack(f"{order}H{code}{len(polygon)}i", 9, len(polygon), *polygon)
        body += struct.pack(f"{order}B{len(polygon)}h", len(polygon), *polygon)
    shape = load(tmp_path, head.replace("\n", end).encode() + rows.tobytes() + body)
    np.testing.assert_array_equal(shape.vertices, np.column_stack([rows[a] for a in "xyz"]))
    assert len(shape.faces) == 5
    np.testing.assert_array_equal(shape.faces[[0, -1]], [[0, 1, 2], [9, 8, 7]])
    assert set(shape.faces[1:4].ravel()) == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("order", "<>")
def test_binary_triangles_and_quads_are_as_in_text(tmp_path, order):
    generator = np.random.default_rng(0)
    points = generator.normal(size=(50, 3)).astype("f4")
    polygons = [generator.permutation(50)[: generator.integers(3, 6)].tolist() for _ in range(200)]
    head = "element vertex 50\n" + XYZ + "element face 200\n" + LIST
    rows = [" ".join(map(repr, row)) for row in points.astype(float).tolist()]
    rows += [" ".join(map(str, [len(p), *p])) for p in polygons]
    body = points.astype(order + "f4").tobytes()
    body += b"".join(struct.pack(f"{order}B{len(p)}i", len(p), *p) for p in polygons)
    one = load(tmp_path, text(head, "\n".join(rows)))
    other = load(tmp_path, f"ply\nformat {ORDERS[order]} 1.0\n{head}end_header\n".encode() + body)
    np.testing.assert_array_equal(one.vertices, other.vertices)
    np.testing.assert_array_equal(one.faces, other.faces)


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_meshes_and_clouds_of_trimesh(tmp_path, encoding):
    mesh = trimesh.creation.icosphere(2)
    mesh.visual.vertex_colors = [1, 2, 3, 4]
    (tmp_path / "a.ply").write_bytes(mesh.export(file_type="ply", encoding=encoding))
    reference = trimesh.load(tmp_path / "a.ply", process=False)
    found = sorted_triangles(corners(load_ply(tmp_path / "a.ply")))
    # trimesh rounds text to float32.
    np.testing.assert_allclose(found, sorted_triangles(reference.triangles), atol=1e-7)
    cloud = trimesh.PointCloud(np.random.default_rng(0).normal(size=(9, 3)))
    (tmp_path / "b.ply").write_bytes(cloud.export(file_type="ply", encoding=encoding))
    reference = trimesh.load(tmp_path / "b.ply")
    np.testing.assert_allclose(load_ply(tmp_path / "b.ply"), reference.vertices, atol=1e-7)


@pytest.mark.parametrize(
    "content",
    [
        text(VERTICES, Q),
        text(VERTICES.upper().replace("ELEMENT", "element").replace("PROPERTY", "property"), Q),
        text(VERTICES + "element face 0\n" + LIST, Q),
        text(VERTICES + "element face 1\n" + LIST, Q + "0\n"),
        text(VERTICES + "element edge 1\n" + LIST, Q + "2 0 1\n"),
        text(VERTICES + "element range_grid 2\n" + LIST, Q + "0\n1 2\n"),
        text(VERTICES + "element camera 1\nproperty float f\n", Q + "0.5\n"),
    ],
)
def test_vertices_without_surfaces_are_a_cloud(tmp_path, content):
    shape = load(tmp_path, content)
    assert not isinstance(shape, Mesh)
    np.testing.assert_array_equal(shape, [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)])


@pytest.mark.filterwarnings("ignore:.*rows? (is|are) NaN")
def test_rows_of_nan_in_a_cloud_are_left_out(tmp_path):
    load(tmp_path, text("element vertex 5\n" + XYZ, Q + "nan nan nan\n"))
    assert len(read_points(tmp_path / "a.ply")) == 4


def test_many_properties_take_no_more_memory_than_they_have(tmp_path):
    count, names = 20_000, [*"xyz", *(f"f_rest_{i}" for i in range(45))]
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {count}\n"
    head += "".join(f"property float {name}\n" for name in names) + "end_header\n"
    rows = np.random.default_rng(0).normal(size=(count, len(names))).astype("<f4")
    np.testing.assert_array_equal(load(tmp_path, head.encode() + rows.tobytes()), rows[:, :3])


BINARY = f"ply\nformat binary_little_endian 1.0\n{VERTICES}{FACES}end_header\n".encode()
BODY = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], "<f4").tobytes()
BODY += struct.pack("<B4i", 4, 0, 1, 2, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SQUARE.replace("float x", "float a"), "no properties x, y and z, but a, y, z"),
        (SQUARE.replace("float x", "list uchar float x"), "declares|no properties"),
        (SQUARE.replace("vertex_indices", "corners"), "no list vertex_indices, but corners"),
        (
            SQUARE.replace("element face", "element trifan"),
            "'trifan' have corners, but are not known",
        ),
        (SQUARE.replace("element vertex", "element point"), "no element 'vertex', but 'point'"),
        (SQUARE.replace("face 1", "face 2"), "1 face rows|2 face rows, but 5 rows follow"),
        (
            SQUARE.replace("vertex 4", "vertex 3"),
            "3 vertex rows and 1 face rows, but 5 rows follow",
        ),
        (SQUARE.replace("1 1 0\n", "1 1 0 9\n"), "other numbers of values"),
        (SQUARE.replace("1 1 0\n0 1 0", "1 1 0 0\n1 0"), "other numbers of values"),
        (SQUARE.replace("4 0 1 2 3", "4 0 1 2 4"), "names vertex 4, but the 4 vertices are 0 to 3"),
        (SQUARE.replace("4 0 1 2 3", "4 0 1 2 -1"), "names vertex -1"),
        (SQUARE.replace("4 0 1 2 3", "4 0 1 2 2.5"), "vertex 2.5, which is no whole number"),
        (SQUARE.replace("4 0 1 2 3", "-4 0 1 2 3"), "declares"),
        (SQUARE.replace("4 0 1 2 3", "nan 0 1 2 3"), "declares"),
        (SQUARE.replace("1 1 0", "1 x 0"), "'x' is no number"),
        (SQUARE.replace("vertex 4", "vertex 400000000000000"), "declares 400000000000000 vertex"),
        (SQUARE.replace("float y", "float x"), "several properties of 'vertex' called 'x'"),
        (SQUARE.replace("element face", "element vertex"), "several elements called 'vertex'"),
        (SQUARE.replace("float y", "half y"), "a line that is none: 'property half y'"),
        (SQUARE.replace("list uchar", "list float"), "types that are none: float, int"),
        (SQUARE.replace("ascii", "morse"), "a line that is none: 'format morse 1.0'"),
        (SQUARE.replace("format ascii 1.0\n", ""), "no line 'format'"),
        (SQUARE.replace("end_header\n", ""), "a line that is none|no line 'end_header'"),
        (SQUARE.replace("ply\n", "plyx\n", 1), "does not begin with a line 'ply'"),
        (SQUARE.replace("vertex 4", "vertex 0").replace(Q, ""), "no vertices|vertices are"),
        (BINARY + BODY[:-1], "declares 4 vertex rows and 1 face rows, which the 64 bytes"),
        (BINARY + BODY + b"abc", "bytes that follow do not fit"),
        (BINARY.replace(b"vertex 4", b"vertex 4000000000000") + BODY, "declares 4000000000000"),
        (BINARY.replace(b"face 1", b"face 4000000000000") + BODY, "4000000000000 face rows"),
        (BINARY + BODY[:48] + b"\xff" + BODY[49:], "do not fit"),
    ],
)
def test_what_breaks_the_grammar_is_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        load(tmp_path, content)
