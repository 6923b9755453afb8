"""Nodes of a glTF scene: where they place its meshes.

Source: Khronos Group, "glTF 2.0 specification" (2021), sections 3.5 and 3.7.3.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data.formats.gltf_document import Document

INSTANCES = "EXT_mesh_gpu_instancing"


class Place(NamedTuple):
    """Where a node places its mesh.

    Attributes:
        matrix: ``(4, 4)``, from the mesh to the scene.
        joints: ``(J, 4, 4)``, the same for each joint of a skin, which stand for the matrix.
        weights: of the mesh's morph targets, or None where the mesh says them.
    """

    matrix: NDArray[np.float64]
    joints: NDArray[np.float64] | None = None
    weights: list[float] | None = None


def placed_meshes(document: Document) -> Iterator[tuple[int, Place]]:
    """Yields the number of each mesh of the scene and its place, once for each node that has it.

    The scene is the default one, or the first; without scenes it is all nodes, and without nodes
    all meshes as they are.

    Raises:
        ContentError: a node that is not there or has two parents, an extension of instances.
    """
    if not document.tree.get("nodes"):
        for mesh in range(len(document.tree.get("meshes", []))):
            yield mesh, Place(np.eye(4))
        return
    matrices = dict[int, NDArray[np.float64]]()
    shown = list[int]()
    waiting = [(root, np.eye(4), True) for root in reversed(_roots(document))]
    while waiting:
        index, parent, visible = waiting.pop()
        node = document.item("nodes", index)
        if index in matrices:
            raise ContentError(f"its node {index} has several parents")
        matrices[index] = parent @ _matrix(node)
        visibility = node.get("extensions", {}).get("KHR_node_visibility", {})
        visible = visible and visibility.get("visible", True)
        if visible and "mesh" in node:
            shown.append(index)
        children = reversed(node.get("children", []))
        waiting += [(child, matrices[index], visible) for child in children]
    for index in shown:
        yield document.item("nodes", index)["mesh"], _place(document, index, matrices)


def _roots(document: Document) -> list[int]:
    if document.tree.get("scenes"):
        return list(document.item("scenes", document.tree.get("scene", 0)).get("nodes", []))
    nodes = document.tree["nodes"]
    children = {child for node in nodes for child in node.get("children", [])}
    return [index for index in range(len(nodes)) if index not in children]


def _place(document: Document, index: int, matrices: dict[int, NDArray[np.float64]]) -> Place:
    node = document.item("nodes", index)
    if INSTANCES in node.get("extensions", {}):
        raise ContentError(f"the glTF extension {INSTANCES} is not read; export it without")
    joints = None
    if "skin" in node:
        skin = document.item("skins", node["skin"])
        lost = [joint for joint in skin["joints"] if joint not in matrices]
        if lost:
            raise ContentError(f"its joint {lost[0]} is not in the scene")
        joints = np.stack([matrices[joint] for joint in skin["joints"]])
        if "inverseBindMatrices" in skin:
            # glTF writes matrices column by column.
            inverse = document.array(skin["inverseBindMatrices"], "MAT4").astype(np.float64)
            joints = joints @ inverse.reshape(-1, 4, 4)[: len(joints)].transpose(0, 2, 1)
    return Place(matrices[index], joints, node.get("weights"))


def _matrix(node: dict[str, Any]) -> NDArray[np.float64]:
    """Returns the transform of a node to its parent."""
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    matrix[:3, :3] = _rotation(node.get("rotation", [0, 0, 0, 1])) * node.get("scale", [1, 1, 1])
    matrix[:3, 3] = node.get("translation", [0, 0, 0])
    return matrix


def _rotation(quaternion: list[float]) -> NDArray[np.float64]:
    """Returns the rotation of a quaternion x, y, z, w."""
    length = float(np.linalg.norm(quaternion))
    if not length > 0:
        raise ContentError(f"the rotation of a node is {quaternion}")
    x, y, z, w = np.asarray(quaternion, dtype=np.float64) / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
