"""glTF files, read by trimesh."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pcclust.data._blame import ContentError, check_finite
from pcclust.data.mesh import Geometry, Mesh

if TYPE_CHECKING:  # importing trimesh takes half a second, which only those who read meshes pay
    import trimesh


def load_mesh(path: Path) -> Geometry:
    """Reads a mesh file.

    Args:
        path: a GLB or glTF file.

    Returns:
        All its surfaces as one mesh, each where the scene places it; or, where the file has no
        surface, its ``(N, 3)`` vertices.
    """
    import trimesh

    scene = trimesh.load_scene(path, process=False, skip_materials=True)
    for part in scene.geometry.values():
        if isinstance(part, trimesh.Trimesh):
            _check_mesh(part)
    mesh: trimesh.Trimesh = scene.to_mesh()
    if len(mesh.faces):
        return Mesh(np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64))
    clouds = [_placed(scene, node) for node in scene.graph.nodes_geometry]
    if not clouds:
        kind = path.suffix[1:].upper()
        raise ContentError(
            f"trimesh finds no vertices in it: it is empty, truncated or no {kind} file"
        )
    return np.concatenate(clouds)


def _placed(scene: "trimesh.Scene", node: str) -> NDArray[np.float64]:
    import trimesh

    transform, name = scene.graph[node]
    vertices = np.asarray(scene.geometry[name].vertices, dtype=np.float64)
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise ContentError(
            f"vertices must have 3 coordinates, got an array of shape {vertices.shape}"
        )
    return np.asarray(trimesh.transform_points(vertices, transform), dtype=np.float64)


def _check_mesh(mesh: "trimesh.Trimesh") -> None:
    """Raises where faces name no vertex; trimesh drops them, or those of NaN, in silence."""
    check_finite(np.asarray(mesh.vertices), "is not finite", "vertices")
    faces = np.asarray(mesh.faces)
    if faces.size == 0:
        return
    lowest, highest = int(faces.min()), int(faces.max())
    if lowest < 0 or highest >= len(mesh.vertices):
        wrong = lowest if lowest < 0 else highest
        raise ContentError(
            f"a face names vertex {wrong}, but there are {len(mesh.vertices)} vertices"
        )
