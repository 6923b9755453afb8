import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcclust.data import DataWarning, read_points
from pcclust.data.formats.lzf import decompress
from pcclust.data.formats.pcd import load_pcd, read_header, write_pcd
from tests.data.formats.pcd_files import compress_lzf, pcd

POINTS = np.array([[0.5, -1.25, 2], [3, 0.0625, -5], [6, 7, 8], [0, 0, 1]])
DATA = ["ascii", "binary", "binary_compressed"]
XYZ = [(axis, "<f4") for axis in "xyz"]


def rows_of(dtype, points=POINTS):
    rows = np.ones(len(points), dtype)
    for axis, column in zip("xyz", points.T, strict=True):
        rows[axis] = column
    return rows


def put(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(
    "dtype",
    [
        XYZ,
        [(axis, "<f8") for axis in "xyz"],
        [*XYZ, ("pad1", "u1", 4), ("intensity", "<f4"), ("pad2", "u1", 12)],  # as PCL writes it
        [("intensity", "<f4"), ("z", "<f8"), ("rgb", "<u4"), ("y", "<f4"), ("x", "<f4")],
        [*XYZ, ("fpfh", "<f4", 33), ("label", "<u2"), ("t", "<u8"), ("ring", "i1")],
        [("pad1", "u1", 3), *XYZ],
    ],
)
def test_fields_of_any_kind(tmp_path, dtype, data):
    path = put(tmp_path / "a.pcd", pcd(rows_of(dtype), data))
    kinds = [np.dtype(dict(d[:2] for d in dtype)[axis]) for axis in "xyz"]
    expected = np.column_stack([POINTS[:, at].astype(kind) for at, kind in enumerate(kinds)])
    np.testing.assert_allclose(load_pcd(path), expected, rtol=1e-7 if data == "ascii" else 0)


@pytest.mark.parametrize("data", DATA)
def test_integer_coordinates(tmp_path, data):
    whole = np.array([[-3, 200, 70000], [1, 2, 3]])
    rows = rows_of([("x", "i1"), ("y", "u1"), ("z", "<i4")], whole)
    np.testing.assert_array_equal(load_pcd(put(tmp_path / "a.pcd", pcd(rows, data))), whole)


@pytest.mark.parametrize("data", DATA)
def test_doubles_keep_georeferenced_detail(tmp_path, data):
    far = POINTS + np.array([500_000.123, 5_400_000.456, 0])
    path = put(tmp_path / "a.pcd", pcd(rows_of([(a, "<f8") for a in "xyz"], far), data))
    np.testing.assert_array_equal(read_points(path, dtype=np.float64), far)


@pytest.mark.parametrize("data", DATA)
def test_grids_leave_out_what_was_not_measured(tmp_path, data):
    grid = POINTS.copy()
    grid[1] = np.nan
    path = put(tmp_path / "a.pcd", pcd(rows_of(XYZ, grid), data, WIDTH=2, HEIGHT=2))
    with pytest.warns(DataWarning, match="1 of 4 rows is NaN"):
        points = read_points(path)
    np.testing.assert_array_equal(points, POINTS[[0, 2, 3]].astype(np.float32))


@pytest.mark.parametrize(
    "change",
    [
        {"TYPE": "f f f"},
        {"FIELDS": "X Y Z"},
        {"COUNT": None},
        {"HEIGHT": None},
        {"WIDTH": None, "HEIGHT": None},
        {"POINTS": None},
        {"VIEWPOINT": None, "VERSION": None},
        {"VIEWPOINT": "1 2 3 0.5 0.5 0.5 0.5"},
        {"VERSION": "0.7\n# made by hand\n"},
    ],
)
@pytest.mark.parametrize("data", DATA)
def test_headers_in_circulation(tmp_path, change, data):
    path = put(tmp_path / "a.pcd", pcd(rows_of(XYZ), data, **change))
    np.testing.assert_array_equal(load_pcd(path), POINTS.astype(np.float32))


def test_header_lines_in_any_order_and_with_any_line_ends(tmp_path):
    content = pcd(rows_of(XYZ), "ascii").decode()
    lines = content.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("DATA"))
    shuffled = [*reversed(lines[:at]), *lines[at:]]
    for text in ("\n".join(shuffled), "\r\n".join(lines), content.replace("DATA", "data")):
        np.testing.assert_array_equal(
            load_pcd(put(tmp_path / "a.pcd", text)), POINTS.astype(np.float32)
        )
    binary = pcd(rows_of(XYZ), "binary").replace(b"binary\n", b"binary\r\n")
    np.testing.assert_array_equal(
        load_pcd(put(tmp_path / "b.pcd", binary)), POINTS.astype(np.float32)
    )


@pytest.mark.parametrize("spare", [b"\n", bytes(4096)])
def test_spare_bytes_after_binary_points(tmp_path, spare):
    path = put(tmp_path / "a.pcd", pcd(rows_of(XYZ), "binary") + spare)
    assert len(load_pcd(path)) == 4


def test_padding_left_out_of_compressed_points(tmp_path):
    whole = pcd(rows_of([*XYZ, ("pad", "u1", 4)]), "binary_compressed")
    header = whole[: whole.index(b"compressed\n") + 11]
    bare = pcd(rows_of(XYZ), "binary_compressed")
    body = bare[bare.index(b"compressed\n") + 11 :]
    points = load_pcd(put(tmp_path / "a.pcd", header + body))
    np.testing.assert_array_equal(points, POINTS.astype(np.float32))


ASCII = pcd(rows_of(XYZ), "ascii").decode()
BINARY = pcd(rows_of(XYZ), "binary")
PACKED = pcd(rows_of(XYZ), "binary_compressed")


def changed(data="ascii", **lines):
    return pcd(rows_of(XYZ), data, **lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no header\n1 2 3\n", "header has a line 'no'"),
        ("VERSION .7\nFIELDS x y z\n", "cut off: its header has no line DATA"),
        (b"\x00\xff\x00", "its header has no line DATA"),
        (changed(FIELDS=None), "no FIELDS"),
        (changed(SIZE=None), "no SIZE"),
        (changed(FIELDS="x y z\nFIELDS x y z"), "two lines FIELDS"),
        (changed(FIELDS="x y rgb"), "no field 'z'; its fields are x, y, rgb"),
        (changed(FIELDS="x x z"), "2 field 'x'"),
        (changed(SIZE="4 4"), "3 FIELDS, but 2 SIZE"),
        (changed(SIZE="4 4 3"), "'z' has the unknown TYPE F of SIZE 3"),
        (changed(TYPE="F F G"), "'z' has the unknown TYPE G of SIZE 4"),
        (changed(COUNT="1 1 2"), "'z' has 2 values of each point"),
        (changed(COUNT="1 1 -1"), "'z' has COUNT -1"),
        (changed(POINTS=5), "declares 5 points in a grid of 4"),
        (changed(POINTS="many"), "POINTS many, which is no count"),
        (changed(POINTS=-4), "POINTS -4"),
        (changed(POINTS=None, WIDTH=None), "neither POINTS nor WIDTH"),
        (changed(DATA="zipped"), "DATA must be .* not 'zipped'"),
        (changed(WIDTH=10**15, POINTS=10**15), f"declares {10**15} points, but 4 follow"),
        (changed(WIDTH=3, POINTS=3), "declares 3 points, but 4 follow"),
        (ASCII[:-4] + "\n", r"point 3 has 2 values instead of 3, is it cut off\?"),
        (ASCII.replace("6.0", "six"), "point 2: 'six' is no number"),
        (ASCII.replace("6.0", "1e400"), "point 2: '1e400' exceeds float64"),
        (ASCII.replace("6.0", "6,0"), "point 2: '6,0' is no number"),
        (ASCII.replace("6.0", "inf"), r"points\[2\] is not finite"),
        (changed("binary", WIDTH=9**9, POINTS=9**9), "4,649,045,868 bytes, but 48 are there"),
        (changed("binary", WIDTH=2, POINTS=2), "2 points of 12 bytes, but 48 bytes follow"),
        (BINARY[:-1], "need 48 bytes, but 47 are there"),
        (PACKED[:-1], "compressed points need"),
        (changed("binary_compressed", WIDTH=9, POINTS=9), "108 bytes, but 48 are compressed"),
        (PACKED[: -len(PACKED) // 8] + b"\xff" * (len(PACKED) // 8 + 1), "damaged"),
        (changed(WIDTH=0, POINTS=0), "holds no points"),
    ],
)
def test_headers_that_lie_and_points_that_are_none(tmp_path, content, message):
    path = put(tmp_path / "a.pcd", content)
    with pytest.raises(ValueError, match=message) as caught:
        read_points(path)
    assert str(caught.value).startswith(str(path))


def test_compressed_points_that_would_fill_memory(tmp_path):
    count = 2**28
    lines = {"WIDTH": count, "POINTS": count}
    header = changed("binary_compressed", **lines)
    header = header[: header.index(b"compressed\n") + 11]
    body = struct.pack("<II", 400, count * 12) + bytes([0xFF, 0xFF, 0, 0]) * 100
    path = put(tmp_path / "a.pcd", header + body)
    begun = time.process_time()
    with pytest.raises(ValueError, match="400 bytes and would become 3,221,225,472"):
        read_points(path)
    assert time.process_time() - begun < 1


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.binary(max_size=4), st.integers(1, 400)), max_size=5))
def test_lzf_undoes_what_was_compressed(pieces):
    data = b"".join(piece * times for piece, times in pieces)
    assert bytes(decompress(compress_lzf(data), len(data))) == data


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60), st.integers(0, 500))
def test_lzf_of_anything_gives_so_many_bytes_or_a_word(packed, size):
    try:
        assert len(decompress(packed, size)) == size
    except ValueError as error:
        assert "damaged" in str(error)  # noqa: PT017 (both are right)


def test_written_files_are_read(tmp_path):
    scalars = {"r": np.arange(4, dtype=np.float32)}
    write_pcd(tmp_path / "a.pcd", POINTS, scalars)
    np.testing.assert_array_equal(load_pcd(tmp_path / "a.pcd"), POINTS)
    header = read_header((tmp_path / "a.pcd").read_bytes())
    assert [(f.name, f.dtype.str) for f in header.fields][2:] == [("z", "<f8"), ("r", "<f4")]
