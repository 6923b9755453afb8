import h5py
import numpy as np
import pytest
import trimesh

import pcclust
from pcclust.data import DataWarning, count_clouds, read_clouds, read_points

POINTS = np.array([[0.5, -1.25, 2], [3, 4e-3, -5], [6, 7, 8], [0, 0, 1]], dtype=np.float64)


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# Meshes


@pytest.mark.parametrize("suffix", ["off", "obj", "ply", "stl", "glb", "gltf"])
def test_mesh_formats_give_points_on_the_surface(tmp_path, suffix):
    box = trimesh.creation.box(extents=(2, 4, 6))
    box.apply_translation((10, 0, 0))
    path = tmp_path / f"box.{suffix.upper() if suffix == 'off' else suffix}"
    if suffix == "gltf":
        for name, content in trimesh.exchange.gltf.export_gltf(trimesh.Scene(box)).items():
            write(tmp_path / (path.name if name == "model.gltf" else name), content)
    else:
        write(path, box.export(file_type=suffix))
    points = pcclust.read_points(path, 2000)
    assert points.shape == (2000, 3)
    assert points.dtype == np.float32
    offset = abs(points - [10, 0, 0]) / [1, 2, 3]
    np.testing.assert_allclose(offset.max(axis=1), 1, atol=1e-6)
    assert (offset.min(axis=0) < 0.05).all()  # not only corners and edges


def test_mesh_gives_1024_points_unless_told(tmp_path):
    path = write(tmp_path / "box.off", trimesh.creation.box().export(file_type="off"))
    assert read_points(path).shape == (1024, 3)
    np.testing.assert_array_equal(read_points(path), read_points(path, 1024, 0))
    assert (read_points(path) != read_points(path, seed=1)).any()


TETRAHEDRON = "0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n"


@pytest.mark.parametrize(
    "header",
    [
        "OFF\n4 4 0\n",
        "OFF4 4 0\n",
        "OFF 4 4 0\n",
        "# by hand\nOFF\n\n# counts\n4 4 0\n",
        "OFF\r\n4 4 0\r\n",
    ],
)
def test_off_headers_in_the_wild(tmp_path, header):
    points = read_points(write(tmp_path / "a.off", header + TETRAHEDRON), 500, dtype=np.float64)
    assert points.min() >= 0
    assert points.sum(axis=1).max() <= 1 + 1e-12
    faces = [*(np.isclose(points[:, axis], 0) for axis in range(3)), np.isclose(points.sum(1), 1)]
    assert np.any(faces, axis=0).all()
    assert all(face.sum() > 50 for face in faces)


def test_parts_of_a_scene_stay_where_they_are_placed(tmp_path):
    scene = trimesh.Scene()
    scene.add_geometry(trimesh.creation.box())
    move = trimesh.transformations.translation_matrix([5, 0, 0])
    scene.add_geometry(trimesh.creation.box(), transform=move)
    points = read_points(write(tmp_path / "two.glb", scene.export(file_type="glb")), 4000)
    left = points[:, 0] < 2.5
    assert 0.45 < left.mean() < 0.55
    np.testing.assert_allclose(points[left].min(axis=0), -0.5, atol=0.02)
    np.testing.assert_allclose(points[~left].max(axis=0), [5.5, 0.5, 0.5], atol=0.02)


def test_every_object_and_group_of_an_obj_is_sampled(tmp_path):
    square = "v {0} 0 0\nv {1} 0 0\nv {1} 1 0\nv {0} 1 0\n"
    text = "mtllib lost.mtl\n" + square.format(0, 1) + square.format(4, 5)
    text += "o a\nusemtl x\nf 1 2 3 4\no b\nusemtl y\nf -4/1/1 -3/1/1 -2/1/1 -1/1/1\n"
    points = read_points(write(tmp_path / "two.obj", text), 2000)
    assert 0.45 < (points[:, 0] < 2.5).mean() < 0.55


@pytest.mark.parametrize("suffix", ["ply", "obj", "off", "glb"])
def test_meshes_without_faces_are_clouds(tmp_path, suffix):
    rows = [" ".join(map(str, row)) for row in POINTS.tolist()]
    content = {
        "ply": trimesh.PointCloud(POINTS).export(file_type="ply", encoding="ascii"),
        "obj": "".join(f"v {row}\n" for row in rows),
        "off": f"OFF\n{len(rows)} 0 0\n" + "\n".join(rows),
        "glb": trimesh.Scene(trimesh.PointCloud(POINTS)).export(file_type="glb"),
    }[suffix]
    points = read_points(write(tmp_path / f"cloud.{suffix}", content))
    np.testing.assert_array_equal(points, POINTS.astype(np.float32))


# Tables


@pytest.mark.parametrize(
    ("name", "first", "join", "last"),
    [
        ("a.xyz", "", " ", ""),
        ("a.xyz", "# x y z\n\n", "   ", " 255 0 0"),
        ("a.xyz", "//X Y Z\n", " ", "  // remark"),
        ("a.txt", "", ",", ",0.1,0.2,0.3"),
        ("a.txt", "", "\t", ""),
        ("a.pts", "4\n", " ", " -100 12 13 14"),
        ("a.csv", "x,y,z\n", ",", ""),
        ("a.csv", "\ufeffX;Y;Z;i\n", " ; ", ";7"),
    ],
)
def test_tables(tmp_path, name, first, join, last):
    rows = [join.join(map(str, row)) + last for row in POINTS.tolist()]
    path = write(tmp_path / name, first + "\n".join(rows) + "\n")
    np.testing.assert_array_equal(read_points(path, dtype=np.float64), POINTS)


def test_named_columns_are_found_in_any_order(tmp_path):
    rows = [f'"chair",{z},{n},{x},{y}' for n, (x, y, z) in enumerate(POINTS.tolist())]
    path = write(tmp_path / "a.csv", '"label","Z","id","X","Y"\n' + "\n".join(rows))
    np.testing.assert_array_equal(read_points(path, dtype=np.float64), POINTS)


# Arrays


def test_npy(tmp_path):
    np.save(tmp_path / "one.npy", np.hstack([POINTS, POINTS]).astype(">f4"))
    np.testing.assert_array_equal(read_points(tmp_path / "one.npy"), POINTS.astype(np.float32))


def save_arrays(path, **arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
        return path
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


BATCH = np.stack([POINTS, POINTS + 1, -POINTS])


@pytest.mark.parametrize("name", ["a.npz", "a.h5", "a.hdf5"])
@pytest.mark.parametrize("key", ["points", "data", "XYZ", "whatever"])
def test_arrays_of_many_clouds(tmp_path, name, key):
    labels = np.arange(3)
    path = save_arrays(tmp_path / name, **{key: BATCH, "label": labels, "names": np.bytes_("abc")})
    assert count_clouds(path) == 3
    np.testing.assert_array_equal(list(read_clouds(path, dtype=np.float64)), BATCH)
    np.testing.assert_array_equal(read_points(path, index=2, dtype=np.float64), BATCH[2])
    with pytest.raises(ValueError, match=r"holds 3 clouds; name one with index=0 to index=2"):
        read_points(path)
    with pytest.raises(ValueError, match="index=3 is not one of its 3 clouds"):
        read_points(path, index=3)


def test_npy_of_many_clouds(tmp_path):
    np.save(tmp_path / "a.npy", BATCH)
    clouds = list(read_clouds(tmp_path / "a.npy", 2, indices=[1, 0]))
    assert [cloud.shape for cloud in clouds] == [(2, 3), (2, 3)]
    assert all((clouds[0][:, None] == BATCH[1]).all(-1).any(1))


@pytest.mark.parametrize("name", ["a.npz", "a.h5"])
def test_packed_clouds(tmp_path, name):
    rows = BATCH.reshape(-1, 3)
    path = save_arrays(tmp_path / name, points=rows, offsets=np.array([0, 1, 7, 12]))
    sizes = [len(cloud) for cloud in read_clouds(path)]
    assert sizes == [1, 6, 5]
    np.testing.assert_array_equal(read_points(path, index=1, dtype=np.float64), rows[1:7])


def test_hdf5_points_in_a_group(tmp_path):
    path = save_arrays(tmp_path / "a.h5", **{"scan/points": POINTS, "scan/normals": POINTS})
    np.testing.assert_array_equal(read_points(path), POINTS.astype(np.float32))


# Scans


@pytest.mark.parametrize("suffix", ["las", "laz"])
def test_georeferenced_las_needs_float64(tmp_path, suffix):
    laspy = pytest.importorskip("laspy")
    cloud = laspy.create(point_format=3, file_version="1.2")
    cloud.header.offsets, cloud.header.scales = [5e5, 5e6, 0], [1e-4] * 3
    place = POINTS + np.array([500_000, 5_000_000, 100])
    cloud.x, cloud.y, cloud.z = place.T
    cloud.write(tmp_path / f"a.{suffix}")
    exact = read_points(tmp_path / f"a.{suffix}", dtype=np.float64)
    np.testing.assert_allclose(exact, np.round(place, 4), atol=1e-9)
    with pytest.warns(DataWarning, match=r"lies 5.*e\+06 from the origin, where float32 has steps"):
        rounded = read_points(tmp_path / f"a.{suffix}")
    assert rounded.dtype == np.float32
    np.testing.assert_array_equal(rounded, exact.astype(np.float32))


# Sizes


def test_clouds_are_resampled_only_when_asked(tmp_path):
    cloud = np.random.default_rng(0).normal(size=(100, 3))
    np.save(tmp_path / "a.npy", cloud)
    path = tmp_path / "a.npy"
    np.testing.assert_array_equal(read_points(path, dtype=np.float64), cloud)
    fewer, more = (read_points(path, n, seed=2, dtype=np.float64) for n in (40, 250))
    assert len(np.unique(fewer, axis=0)) == len(fewer) == 40
    assert {*map(tuple, fewer)} < {*map(tuple, cloud)}
    assert len(more) == 250
    assert {*map(tuple, more)} == {*map(tuple, cloud)}
    np.testing.assert_array_equal(fewer, read_points(path, 40, seed=2, dtype=np.float64))
