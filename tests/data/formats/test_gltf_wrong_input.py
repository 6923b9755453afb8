"""glTF files that name what is not there, or need what is not known: each is refused."""

import json

import pytest

from pcclust.data import read_points
from pcclust.data.formats.gltf import load_gltf
from tests.data.formats.gltf_scene import Scene


def changed(**changes):
    """A change of the tree, each part named by its path with a __ for a step."""

    def change(tree):
        for name, value in changes.items():
            *steps, last = [int(s) if s.isdigit() else s for s in name.split("__")]
            place = tree
            for step in steps:
                place = place[step]
            place[last] = value

    return change


REQUIRED = (
    "KHR_draco_mesh_compression",
    "EXT_meshopt_compression",
    "EXT_mesh_gpu_instancing",
    "X_new",
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *(
            (changed(extensionsRequired=[name]), f"requires the glTF extension {name}")
            for name in REQUIRED
        ),
        (
            changed(nodes__0__extensions={"EXT_mesh_gpu_instancing": {"attributes": {}}}),
            "extension EXT_mesh_gpu_instancing is not read",
        ),
        (
            changed(
                meshes__0__primitives__0__extensions={"KHR_draco_mesh_compression": {}},
                accessors__0={"componentType": 5126, "count": 4, "type": "VEC3"},
            ),
            "extension KHR_draco_mesh_compression is not read",
        ),
        (
            changed(
                buffers=[{"byteLength": 80}],
                bufferViews__0__extensions={"EXT_meshopt_compression": {}},
            ),
            "buffer 0 has no bytes; the extension EXT_meshopt_compression is not read",
        ),
        (changed(asset__version="1.0"), "glTF version 1.0 is not read"),
        (changed(accessors__0__count=10**15), "declares 1000000000000000 values"),
        (
            changed(accessors__0={"componentType": 5126, "count": 10**12, "type": "VEC3"}),
            "declares 1000000000000 values without bytes",
        ),
        (changed(accessors__0__count=-1), "exceeds|declares"),
        (changed(accessors__0__type="VEC2"), "is a VEC2 of component type 5126; VEC3 of"),
        (changed(accessors__0__componentType=9), "is a VEC3 of component type 9"),
        (changed(bufferViews__0__byteLength=10**9), "buffer view 0 exceeds"),
        (changed(bufferViews__0__byteOffset=-4), "buffer view 0 exceeds"),
        (changed(bufferViews__0__byteStride=0), "buffer view 0 exceeds"),
        (
            changed(buffers=[{"byteLength": 80, "uri": "lost%20file.bin"}]),
            "there is no .*lost file.bin",
        ),
        (changed(buffers=[{"byteLength": 80, "uri": "http://a.org/b.bin"}]), "no file beside it"),
        (changed(buffers=[{"byteLength": 80, "uri": "data:;base64,!!!!"}]), "not a readable GLTF"),
        (changed(nodes__0__mesh=5), "names number 5 of its 1 meshes"),
        (changed(nodes__0__mesh=-1), "names number -1 of its 1 meshes"),
        (changed(scenes__0__nodes=[3]), "names number 3 of its 1 nodes"),
        (changed(nodes__0__children=[0]), "node 0 has several parents"),
        (changed(nodes__0__rotation=[0, 0, 0, 0]), "rotation of a node"),
        (changed(meshes__0__primitives__0__mode=7), "mode 7, which glTF does not have"),
        (changed(meshes__0__primitives__0__attributes={}), "has no POSITION"),
        (changed(accessors__1__count=5), "triangles has 5 corners"),
        (changed(meshes=[]), "names number 0 of its 0 meshes"),
        (changed(nodes__0={}), "no vertices"),
    ],
)
def test_what_is_not_there_or_not_known_is_refused(tmp_path, change, message):
    scene = Scene()
    scene.mesh()
    path = scene.nodes({"mesh": 0}).save(tmp_path / "a.gltf")
    change(scene.tree)
    path.write_text(json.dumps(scene.tree))
    with pytest.raises(ValueError, match=message) as caught:
        read_points(path)
    assert str(caught.value).startswith(str(path))


def test_an_index_beyond_its_own_primitive_is_refused(tmp_path):
    scene = Scene()
    scene.mesh(indices=[0, 1, 4])
    scene.mesh()  # whose vertices the index must not reach
    scene.nodes({"mesh": 0}, {"mesh": 1}, roots=(0, 1))
    with pytest.raises(ValueError, match="names vertex 4 of its 4"):
        load_gltf(scene.save(tmp_path / "a.gltf"))
