"""glTF and GLB: what the specification says of buffers, accessors, primitives and nodes."""

from urllib.parse import quote

import numpy as np
import pytest
import trimesh

from pcclust.data import read_points
from pcclust.data.formats.gltf import load_gltf
from tests.data.formats.gltf_scene import CODES, SQUARE, Scene, glb
from tests.data.formats.surfaces import area, corners, crosses


@pytest.mark.parametrize(
    ("mode", "order", "indices"),
    [
        (4, [0, 1, 2, 3], [0, 1, 2, 1, 3, 2]),
        (5, [0, 1, 2, 3], [0, 1, 2, 3]),
        (5, [0, 1, 2, 3], None),
        (6, [0, 1, 3, 2], [0, 1, 2, 3]),
        (6, [0, 1, 3, 2], None),
    ],
)
def test_triangles_strips_and_fans_cover_the_square(tmp_path, mode, order, indices):
    scene = Scene()
    scene.mesh(SQUARE[order], indices, mode=mode)
    shape = load_gltf(scene.nodes({"mesh": 0}).save(tmp_path / "a.gltf"))
    assert area(shape) == pytest.approx(1)
    assert (crosses(shape)[:, 2] > 0).all()  # all turn the same way


def test_fans_beside_triangles_are_not_left_out(tmp_path):
    scene = Scene()
    scene.mesh(SQUARE, [0, 1, 2])
    scene.mesh(SQUARE[[0, 1, 3, 2]], [0, 1, 2, 3], mode=6)
    scene.nodes({"mesh": 0}, {"mesh": 1, "translation": [10, 0, 0]}, roots=(0, 1))
    points = read_points(scene.save(tmp_path / "a.gltf"), 3000)
    assert (points[:, 0] > 5).mean() == pytest.approx(2 / 3, abs=0.05)


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_points_and_lines_are_clouds_only_without_surfaces(tmp_path, mode):
    scene = Scene()
    scene.mesh(SQUARE, [0, 1, 3, 1], mode=mode)
    path = scene.nodes({"mesh": 0, "scale": [2, 2, 2]}).save(tmp_path / "a.gltf")
    np.testing.assert_array_equal(read_points(path), 2 * SQUARE[[0, 1, 3]])
    scene.mesh(SQUARE + 5)
    scene.nodes({"mesh": 0}, {"mesh": 1}, roots=(0, 1))
    assert read_points(scene.save(tmp_path / "b.gltf"))[:, 0].min() >= 5


@pytest.mark.parametrize(
    ("dtype", "values", "wanted"),
    [
        ("<i2", [-32768, -32767, 0, 32767], [-1, -1, 0, 1]),
        ("<u2", [0, 13107, 65535, 1], [0, 0.2, 1, 1 / 65535]),
        ("i1", [-128, -127, 64, 127], [-1, -1, 64 / 127, 1]),
        ("u1", [0, 51, 255, 1], [0, 0.2, 1, 1 / 255]),
    ],
)
@pytest.mark.parametrize("normalized", [True, False])
def test_quantized_positions(tmp_path, dtype, values, wanted, normalized):
    scene = Scene()
    array = np.zeros((4, 4), dtype)
    array[:, 0] = array[:, 1] = values
    scene.mesh()
    view = scene.view(array, byteStride=array.itemsize * 4)
    found = scene.tree["accessors"][0]
    found |= {"bufferView": view, "componentType": CODES[np.dtype(dtype).str[1:]]}
    found["normalized"] = normalized
    scene.tree["extensionsUsed"] = scene.tree["extensionsRequired"] = ["KHR_mesh_quantization"]
    shape = load_gltf(scene.nodes({"mesh": 0}).save(tmp_path / "a.gltf"))
    np.testing.assert_allclose(shape.vertices[:, 1], wanted if normalized else values, atol=1e-12)


def test_sparse_accessors(tmp_path):
    scene = Scene()
    scene.mesh()
    rows, values = np.array([1, 3], "<u2"), np.array([(7, 0, 0), (7, 1, 0)], "<f4")
    scene.tree["accessors"][0]["sparse"] = {
        "count": 2,
        "indices": {"bufferView": scene.view(rows), "componentType": 5123},
        "values": {"bufferView": scene.view(values)},
    }
    shape = load_gltf(scene.nodes({"mesh": 0}).save(tmp_path / "a.gltf"))
    expected = SQUARE.copy()
    expected[[1, 3], 0] = 7
    np.testing.assert_array_equal(shape.vertices, expected)
    del scene.tree["accessors"][0]["bufferView"]  # zeros, but for the sparse values
    shape = load_gltf(scene.save(tmp_path / "b.gltf"))
    np.testing.assert_array_equal(shape.vertices, [[0, 0, 0], values[0], [0, 0, 0], values[1]])


def test_random_scenes_are_as_trimesh_places_them(tmp_path):
    generator = np.random.default_rng(0)
    for number in range(5):
        scene = trimesh.Scene()
        parent = None
        for _ in range(4):
            matrix = trimesh.transformations.random_rotation_matrix(generator.random(3))
            matrix[:3, :3] *= generator.uniform(0.5, 2)
            matrix[:3, 3] = generator.normal(size=3)
            parent = scene.add_geometry(
                trimesh.creation.box(generator.uniform(1, 2, 3)),
                parent_node_name=parent,
                transform=matrix,
            )
        path = tmp_path / f"{number}.glb"
        path.write_bytes(scene.export(file_type="glb"))
        reference = trimesh.load_scene(path, process=False).to_mesh()
        expected = np.asarray(reference.triangles).reshape(-1, 9)
        found = corners(load_gltf(path)).reshape(-1, 9)
        order = [np.lexsort(np.round(rows, 4).T) for rows in (found, expected)]
        np.testing.assert_allclose(found[order[0]], expected[order[1]], atol=1e-6)


def test_a_mesh_that_two_nodes_have_is_there_twice(tmp_path):
    scene = Scene()
    scene.mesh()
    scene.nodes(
        {"children": [1, 2], "scale": [2, 2, 2]}, {"mesh": 0}, {"mesh": 0, "translation": [9, 0, 0]}
    )
    shape = load_gltf(scene.save(tmp_path / "a.gltf"))
    assert area(shape) == pytest.approx(8)
    assert shape.vertices[:, 0].max() == 20


def test_only_the_default_scene_is_read_and_without_scenes_all_nodes(tmp_path):
    scene = Scene()
    scene.mesh()
    scene.nodes({"mesh": 0}, {"mesh": 0, "translation": [9, 0, 0]}, roots=(0,))
    scene.tree["scenes"].append({"nodes": [1]})
    assert load_gltf(scene.save(tmp_path / "a.gltf")).vertices[:, 0].max() == 1
    scene.tree["scene"] = 1
    assert load_gltf(scene.save(tmp_path / "b.gltf")).vertices[:, 0].max() == 10
    del scene.tree["scenes"], scene.tree["scene"]
    assert len(load_gltf(scene.save(tmp_path / "c.gltf")).vertices) == 8
    del scene.tree["nodes"]
    assert len(load_gltf(scene.save(tmp_path / "d.gltf")).vertices) == 4


def test_hidden_nodes_are_left_out(tmp_path):
    scene = Scene()
    scene.mesh()
    hidden = {"KHR_node_visibility": {"visible": False}}
    scene.nodes({"mesh": 0}, {"children": [2], "extensions": hidden}, {"mesh": 0}, roots=(0, 1))
    assert len(load_gltf(scene.save(tmp_path / "a.gltf")).vertices) == 4


def test_morph_targets_have_their_weights(tmp_path):
    scene = Scene()
    scene.mesh()
    primitive = scene.tree["meshes"][0]["primitives"][0]
    primitive["targets"] = [
        {"POSITION": scene.accessor(np.full((4, 3), value, "<f4"), "VEC3")} for value in (1, 10)
    ]
    path = scene.nodes({"mesh": 0}).save(tmp_path / "a.gltf")
    np.testing.assert_array_equal(load_gltf(path).vertices, SQUARE)
    scene.tree["meshes"][0]["weights"] = [0.5, 0]
    np.testing.assert_array_equal(load_gltf(scene.save(path)).vertices, SQUARE + 0.5)
    scene.tree["nodes"][0]["weights"] = [0.5, 0.25]
    np.testing.assert_array_equal(load_gltf(scene.save(path)).vertices, SQUARE + 3)


def test_skins_move_vertices_with_their_joints(tmp_path):
    scene = Scene()
    joints = np.array([(0, 1, 0, 0)] * 4, "u1")
    weights = np.array([(1, 0, 0, 0), (0, 1, 0, 0), (0.5, 0.5, 0, 0), (0.25, 0.75, 0, 0)], "<f4")
    names = {
        "JOINTS_0": scene.accessor(joints, "VEC4"),
        "WEIGHTS_0": scene.accessor(weights, "VEC4"),
    }
    scene.mesh(attributes=names)
    inverse = np.stack([np.eye(4), np.eye(4)]).astype("<f4")
    inverse[1, 3, :3] = (-1, 0, 0)  # column by column: the translation is the last row here
    bind = scene.accessor(inverse.reshape(2, 16), "MAT4")
    scene.tree["skins"] = [{"joints": [1, 2], "inverseBindMatrices": bind}]
    # The place of the node with the mesh does not matter; that of the joints does.
    scene.nodes(
        {"mesh": 0, "skin": 0, "translation": [99, 0, 0]},
        {"translation": [0, 5, 0], "children": [2]},
        {"translation": [1, 0, 3]},
        roots=(0, 1),
    )
    shape = load_gltf(scene.save(tmp_path / "a.gltf"))
    first, second = np.add(SQUARE, [0, 5, 0]), np.add(SQUARE, [0, 5, 3])
    expected = weights[:, :1] * first + weights[:, 1:2] * second
    np.testing.assert_allclose(shape.vertices, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["my mesh.bin", "a%20b.bin", "größe+1.bin", "sub folder/x.bin"])
def test_buffers_beside_the_file(tmp_path, name):
    scene = Scene()
    scene.mesh()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(scene.data)
    path = scene.nodes({"mesh": 0}).save(tmp_path / "a.gltf", uri=quote(name))
    assert area(load_gltf(path)) == pytest.approx(1)
    scene.save(path, uri=name)  # as programs write it that do not code
    assert area(load_gltf(path)) == pytest.approx(1)


def test_data_that_is_coded_by_percents(tmp_path):
    scene = Scene()
    scene.mesh()
    uri = "data:," + "".join(f"%{byte:02x}" for byte in scene.data)
    path = scene.nodes({"mesh": 0}).save(tmp_path / "a.gltf", uri=uri)
    assert area(load_gltf(path)) == pytest.approx(1)


def test_glb_whatever_the_name_ends_with(tmp_path):
    scene = Scene()
    scene.mesh()
    scene.nodes({"mesh": 0})
    scene.tree["buffers"] = [{"byteLength": len(scene.data)}]
    whole = glb(scene.tree, scene.data)
    for name in ("a.glb", "a.gltf"):
        (tmp_path / name).write_bytes(whole)
        assert area(load_gltf(tmp_path / name)) == pytest.approx(1)
    for content, message in (
        (whole[:-20], "cut off"),
        (glb(scene.tree, scene.data, version=1), "GLB version 1 is not read"),
        (glb(scene.tree, scene.data[:-20]), r"its buffer 0 is cut off: \d+ of \d+ bytes"),
    ):
        (tmp_path / "b.glb").write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_points(tmp_path / "b.glb")


def test_optional_extensions_with_data_beside_them_are_read(tmp_path):
    scene = Scene()
    scene.mesh(extensions={"KHR_draco_mesh_compression": {"bufferView": 0}})
    scene.tree["extensionsUsed"] = ["KHR_draco_mesh_compression", "KHR_materials_unlit"]
    scene.tree["extensionsRequired"] = ["KHR_materials_unlit"]
    assert area(load_gltf(scene.nodes({"mesh": 0}).save(tmp_path / "a.gltf"))) == pytest.approx(1)
