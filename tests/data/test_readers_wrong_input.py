"""Broken files: each is a ValueError that names the file and what is wrong with it."""

import gzip
import io
import lzma
import pickle
import struct
import sys
import warnings
import zipfile

import h5py
import numpy as np
import pytest

from pcclust.data import count_clouds, open_dataset, read_clouds, read_points
from pcclust.data.formats import BY_SUFFIX

V = "0 0 0\n1 0 0\n0 1 0\n0 0 1\n"
F = "3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n"
PLY = "ply\nformat ascii 1.0\nelement vertex {0}\n" + "".join(
    f"property float {a}\n" for a in "xyz"
)
PLY_FACES = "element face {1}\nproperty list uchar int vertex_indices\nend_header\n"
OBJ = "".join(f"v {row}\n" for row in V.splitlines())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.off", "OFF\n6 4 0\n" + V + F, "declares 6 vertices and 4 faces, but 8 rows follow"),
        ("a.off", "OFF99 4 0\n" + V + F, "declares 99 vertices"),
        ("a.off", "OFF\n4 9 0\n" + V + F, "declares 4 vertices and 9 faces"),
        ("a.off", "OFF\n999999999999999999999 4 0\n" + V + F, "declares 9999"),
        ("a.off", "OFF\n-4 4 0\n" + V + F, "declares -4 vertices"),
        ("a.off", "OFF\n4 4 0\n" + V + F[:-3], "last OFF face is cut off: '3 1 2'"),
        ("a.off", "OFF\n", "no vertex and face counts"),
        ("a.off", "v" + V + F, "does not begin with OFF"),
        ("a.off", "OFF\n4 1 0\n" + V + "3 0 1 9\n", "a face names vertex 9, but the 4"),
        (
            "a.off",
            "OFF\n4 4 0\n" + V.replace("1", "nan", 1) + F,
            r"vertices\[1\] is not finite: \[nan",
        ),
        (
            "a.off",
            "OFF\n4 4 0\n" + V.replace("1", "inf") + F,
            r"vertices\[1\] is not finite: \[inf",
        ),
        ("a.off", "OFF\n3 1 0\n0 0 0\n1 1 1\n2 2 2\n3 0 1 2\n", "its 1 faces has no area"),
        ("a.ply", PLY.format(9) + "end_header\n" + V, "declares 9 vertex rows, but 4 rows follow"),
        ("a.ply", (PLY + PLY_FACES).format(4, 7) + V + F, "4 vertex rows and 7 face rows, but 8"),
        (
            "a.ply",
            (PLY + PLY_FACES).format(4, 1) + V + "3 0 1 9",
            "face names vertex 9, but the 4 vertices are 0 to 3",
        ),
        (
            "a.ply",
            PLY.format(4).replace(" x", " a") + "end_header\n" + V,
            "no properties x, y and z, but a, y, z",
        ),
        ("a.ply", PLY.format(4), "no line 'end_header'"),
        ("a.obj", OBJ + "f 1 2 9\n", "face names vertex 9, but the 4 vertices are 1 to 4"),
        ("a.obj", "# nothing\n", "no vertices"),
        ("a.obj", "v 0 0 0\nv 1 1 1\nv 2 2 2\nf 1 2 3\n", "no area"),
        ("a.stl", "solid\nendsolid\n", "no vertices"),
        ("a.glb", b"glTF" + bytes(20), "GLB version 0 is not read"),
        ("a.gltf", '{"asset": {"version": "2.0"}, "buffers": [{"uri": "lost.bin"}]}', "a.gltf"),
        ("a.npy", pickle.dumps(1), "does not begin as NPY files do"),
        ("a.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'", "not a readable NPY file"),
        ("a.npz", b"PK\x03\x04 garbage", "not a readable NPZ file"),
        ("a.h5", b"\x89HDF\r\n\x1a\n garbage", "not a readable H5 file"),
    ],
)
def test_broken_text_and_lying_headers(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as caught:
        read_points(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(9), r"has shape \(9,\)"),
        (np.zeros((4, 2)), "last axis must be x, y, z"),
        (np.zeros((3, 1024)), "looks transposed"),
        (np.zeros((0, 3)), r"is empty: shape \(0, 3\)"),
        (np.zeros((0, 9, 3)), "is empty"),
        (np.array([["a", "b", "c"]]), "not numbers"),
        (np.array([[1, 2, 3 + 1j]]), "not numbers"),
        (np.array([[0, 0, 0], [1, 1, 1e300]]), r"points\[1\] exceeds float32; read it as float64"),
        (np.array([[0, 0, 0], [1, 1, np.inf]]), r"points\[1\] is not finite"),
    ],
)
@pytest.mark.parametrize("suffix", ["npy", "npz", "h5"])
@pytest.mark.filterwarnings("error")
def test_arrays_that_are_no_clouds(tmp_path, suffix, array, message):
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, array)
    elif suffix == "npz":
        np.savez(path, points=array)
    else:
        with h5py.File(path, "w") as file:
            file["points"] = array.astype("S1") if array.dtype.kind == "U" else array
    with pytest.raises(ValueError, match=message) as caught:
        read_points(path)
    assert str(path) in str(caught.value)


def test_no_pickle_is_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    np.save(tmp_path / "a.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(np.zeros((5, 3))))
    for name in ("a.npy", "b.npy"):
        with pytest.raises(ValueError, match=name):
            read_points(tmp_path / name)


def test_a_truncated_npy_and_hdf5(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((100, 3)))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = np.ones((100, 3))
    for name in ("a.npy", "a.h5"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-50])
        with pytest.raises(ValueError, match=f"{name}: not a readable"):
            read_points(path)


@pytest.mark.parametrize(
    "offsets", [[0, 5, 3, 9], [0, 4, 8], [1, 9], [0.0, 9.0], [[0, 9]], [0, 4, 4, 9]]
)
def test_bad_offsets(tmp_path, offsets):
    np.savez(tmp_path / "a.npz", points=np.ones((9, 3)), offsets=np.array(offsets))
    with pytest.raises(ValueError, match=r"a\.npz: offsets must"):
        count_clouds(tmp_path / "a.npz")


def test_arrays_without_or_with_too_many_candidates(tmp_path):
    np.savez(tmp_path / "none.npz", label=np.arange(4))
    np.savez(tmp_path / "two.npz", left=np.ones((4, 3)), right=np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"the array label has shape \(4,\), not"):
        read_points(tmp_path / "none.npz")
    with pytest.raises(ValueError, match=r"holds 2 arrays that may be points.*left, right"):
        read_points(tmp_path / "two.npz")


def test_which_cloud_of_many_is_broken(tmp_path):
    clouds = np.ones((3, 5, 3))
    clouds[1, 4, 2] = np.nan
    np.save(tmp_path / "a.npy", clouds)
    with pytest.raises(ValueError, match=r"a\.npy\[1\]: points\[4\] is not finite"):
        list(read_clouds(tmp_path / "a.npy"))


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lost\.off: there is no such file"):
        read_points(tmp_path / "lost.off")
    (tmp_path / "folder.off").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_points(tmp_path / "folder.off")
    (tmp_path / "a.off").touch()
    with pytest.raises(ValueError, match=r"a\.off: the file is empty"):
        read_points(tmp_path / "a.off")
    with pytest.raises(ValueError, match=r"a\.docx: unknown format '\.docx'; known are \.off"):
        read_points(tmp_path / "a.docx")


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LFS, "is a pointer of Git LFS .*: run git lfs pull"),
        (gzip.compress(b"1 2 3\n", mtime=0), "is compressed by gzip: unpack it"),
        (lzma.compress(b"1 2 3\n"), "is compressed by xz: unpack it"),
        (b"\n<!DOCTYPE HTML>\n<html>", "is a web page"),
    ],
)
@pytest.mark.parametrize("suffix", sorted(BY_SUFFIX))
def test_files_of_another_kind_than_their_names_say(tmp_path, suffix, content, message):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\{suffix}: it {message}"):
        read_points(path)


def test_a_dataset_that_is_a_pointer_or_a_single_shape(tmp_path):
    (tmp_path / "a.h5").write_bytes(LFS)
    with pytest.raises(OSError, match=r"a\.h5: it is a pointer of Git LFS"):
        open_dataset(tmp_path / "a.h5")
    (tmp_path / "a.xyz").write_text("1 2 3\n")
    with pytest.raises(ValueError, match=r"a\.xyz is a single file, .*give the folder"):
        open_dataset(tmp_path / "a.xyz")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.ply.gz", "unpack it"),
        ("a.E57", "convert it to PLY or LAS"),
        ("000.bin", "save its points as NPY"),
        ("a.mat", "as NPY or CSV"),
        ("a.stp", "export it as PLY, STL or OBJ"),
        ("a.asc", r"rename it to \.txt"),
        ("scan", "give its name the ending of its format"),
    ],
)
def test_what_to_do_with_formats_that_are_not_read(tmp_path, name, advice):
    (tmp_path / name).write_bytes(b"1")
    with pytest.raises(ValueError, match=f"unknown format .*; known are .*; .*{advice}"):
        read_points(tmp_path / name)


def test_a_link_to_nowhere(tmp_path):
    (tmp_path / "a.off").symlink_to("lost.off")
    with pytest.raises(
        FileNotFoundError, match=r"a\.off is a link to lost\.off, which leads to no"
    ):
        read_points(tmp_path / "a.off")


def test_objects_and_tables_of_pandas_are_refused_with_what_to_do(tmp_path):
    clouds = np.empty(2, dtype=object)
    clouds[:] = [np.zeros((3, 3)), np.zeros((4, 3))]
    np.save(tmp_path / "a.npy", clouds, allow_pickle=True)
    with pytest.raises(
        ValueError, match=r"a\.npy: it holds Python objects.*with offsets in an NPZ"
    ):
        read_points(tmp_path / "a.npy")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["df/block0_items"] = [b"z", b"y", b"x"]
        file["df/block0_values"] = np.zeros((9, 3))
    with pytest.raises(ValueError, match=r"a\.h5: it is a table as pandas.*save x, y and z"):
        read_points(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_points": 0}, "num_points=0 must be at least 1"),
        ({"num_points": -3}, "num_points=-3"),
        ({"seed": -1}, "seed=-1"),
        ({"dtype": np.int32}, "dtype=int32 must be float32 or float64"),
        ({"index": -1}, "index=-1 is not one of its 1 clouds"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    np.save(tmp_path / "a.npy", np.ones((9, 3)))
    with pytest.raises(ValueError, match=message):
        read_points(tmp_path / "a.npy", **arguments)


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        ("laspy", "a.las", r"pip install 'pcclust\[las\]'"),
    ],
)
def test_a_missing_extra_is_named(tmp_path, monkeypatch, module, name, message):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(ImportError, match=message):
        read_points(tmp_path / name)


def write_las(path):
    laspy = pytest.importorskip("laspy")
    cloud = laspy.create(point_format=0, file_version="1.2")
    cloud.header.scales = [1e-3] * 3
    cloud.x, cloud.y, cloud.z = np.random.default_rng(0).normal(size=(3, 50))
    cloud.write(path)
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("count", [51, 2**32 - 1])
@pytest.mark.parametrize("length", [20, 65535])
def test_las_that_declares_more_than_it_holds(tmp_path, count, length):
    path = tmp_path / "a.las"
    content = write_las(path)
    struct.pack_into("<H", content, 105, length)
    struct.pack_into("<I", content, 107, count)
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"a\.las: its [\d,]+ points need [\d,]+ bytes, but|51 points, but"
    ):
        read_points(path)


def test_laz_that_declares_too_much(tmp_path):
    path = tmp_path / "a.laz"
    content = write_las(path)
    struct.pack_into("<I", content, 107, 2**32 - 1)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="would become 103,079,215,080, more than 200 times"):
        read_points(path)


@pytest.mark.parametrize("shape", [(10**10, 3), (10**6, 10**4, 3), (500, 3)])
def test_npz_that_declares_more_than_it_holds(tmp_path, shape):
    header = io.BytesIO()
    described = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("points.npy", header.getvalue() + bytes(50 * 24))
    with pytest.raises(
        ValueError, match=r"a\.npz: its values of 'points' need [\d,]+ bytes, but 1,"
    ):
        read_points(tmp_path / "a.npz")


def test_npz_that_would_expand_too_far(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", points=np.zeros((3 * 10**6, 3)))
    with pytest.raises(ValueError, match=r"would become 72,000,000.* set PCCLUST_MAX_EXPANSION"):
        read_points(tmp_path / "a.npz")


def test_npz_of_two_arrays_of_one_name(tmp_path):
    content = io.BytesIO()
    np.save(content, np.ones((5, 3)))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            file.writestr("points.npy", content.getvalue())
    with pytest.raises(ValueError, match=r"a\.npz: it holds 2 arrays 'points'"):
        read_points(tmp_path / "a.npz")
