"""glTF and GLB: the meshes of a scene, each where the scene's nodes place it.

Source: Khronos Group, "glTF 2.0 specification" (2021), sections 3.5 to 3.7.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data.formats.gltf_document import Document, open_document
from pcclust.data.formats.gltf_nodes import Place, placed_meshes
from pcclust.data.formats.strips import triangles_of_strips
from pcclust.data.mesh import Geometry, Polygons, shape_of

# What these say of looks, light and the like does not move a surface.
HARMLESS = ("KHR_materials_", "KHR_texture_", "EXT_texture_", "KHR_lights_", "KHR_xmp")
UNDERSTOOD = (
    *("KHR_mesh_quantization", "KHR_node_visibility", "KHR_animation_pointer", "MSFT_texture_dds"),
    *("KHR_techniques_webgl", "EXT_mesh_features", "EXT_structural_metadata"),
)
TRIANGLES = 4  # the mode where none is said


def load_gltf(path: Path) -> Geometry:
    """Reads a GLB or glTF file: the meshes of its scene, morphed and skinned as they stand there.

    Animations are not played. Of optional extensions, those of instances are refused.

    Returns:
        all triangles, strips and fans as one mesh; where there are none, the vertices of its
        points and lines.

    Raises:
        ContentError: another version of glTF, an extension that it requires and that is not known,
            or bytes, vertices or nodes that are not there.
    """
    document = open_document(path)
    for name in document.tree.get("extensionsRequired", []):
        if name not in UNDERSTOOD and not name.startswith(HARMLESS):
            raise ContentError(
                f"it requires the glTF extension {name}, which is not read; export it without"
            )
    vertices, surfaces, loose = [np.empty((0, 3))], list[Polygons](), [np.empty((0, 3))]
    count = 0
    for primitive, place in _primitives(document):
        points = _points(document, primitive, place)
        polygons = _polygons(document, primitive, len(points))
        if polygons is None:
            loose.append(points[np.unique(_corners(document, primitive, len(points)))])
            continue
        vertices.append(points)
        surfaces.append(polygons._replace(corners=polygons.corners + count))
        count += len(points)
    if not any(len(surface.sizes) for surface in surfaces):
        return shape_of(np.concatenate([*vertices, *loose]), Polygons.join([]))
    return shape_of(np.concatenate(vertices), Polygons.join(surfaces))


def _primitives(document: Document) -> Iterator[tuple[dict[str, Any], Place]]:
    """Yields the parts of all meshes in the scene."""
    for mesh, place in placed_meshes(document):
        found = document.item("meshes", mesh)
        weights = found.get("weights", []) if place.weights is None else place.weights
        for primitive in found["primitives"]:
            yield primitive, place._replace(weights=weights)


def _points(document: Document, primitive: dict[str, Any], place: Place) -> NDArray[np.float64]:
    """Returns the vertices of a primitive in the scene."""
    attributes = primitive["attributes"]
    if "POSITION" not in attributes:
        raise ContentError("a primitive of its meshes has no POSITION")
    draco = "KHR_draco_mesh_compression"
    compressed = draco in primitive.get("extensions", {})
    if compressed and "bufferView" not in document.item("accessors", attributes["POSITION"]):
        raise ContentError(f"the glTF extension {draco} is not read; export it without")
    points = document.array(attributes["POSITION"], "VEC3").astype(np.float64)
    for weight, target in zip(place.weights or [], primitive.get("targets", []), strict=False):
        if weight and "POSITION" in target:
            points += weight * document.array(target["POSITION"], "VEC3").astype(np.float64)
    matrices = place.matrix if place.joints is None else _blend(document, attributes, place.joints)
    ones = np.ones((len(points), 1))
    homogeneous = np.concatenate([points, ones], axis=1)[:, :, None]
    return np.asarray((matrices @ homogeneous)[:, :3, 0])


def _blend(
    document: Document, attributes: dict[str, Any], joints: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the ``(V, 4, 4)`` transforms of vertices that follow several joints (3.7.3.3)."""
    blended, total = 0.0, 0.0
    sets = sum(name.startswith("JOINTS_") for name in attributes)
    for number in range(sets):
        rows = document.array(attributes[f"JOINTS_{number}"], "VEC4").astype(np.int64)
        weights = document.array(attributes[f"WEIGHTS_{number}"], "VEC4").astype(np.float64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(joints):
            raise ContentError(f"a vertex follows joint {rows.max()} of {len(joints)}")
        blended = blended + np.einsum("vk,vkij->vij", weights, joints[rows])
        total = total + weights.sum(axis=1)
    if sets == 0 or not np.all(np.asarray(total) > 0):
        raise ContentError("a vertex of a skinned mesh follows no joint")
    return np.asarray(blended / np.asarray(total)[:, None, None])


def _corners(document: Document, primitive: dict[str, Any], count: int) -> NDArray[np.int64]:
    """Returns the vertices in the order in which the primitive's mode takes them."""
    if "indices" not in primitive:
        return np.arange(count)
    corners = document.array(primitive["indices"], "SCALAR")[:, 0].astype(np.int64)
    if len(corners) and corners.max() >= count:
        raise ContentError(f"a primitive names vertex {corners.max()} of its {count}")
    return corners


def _polygons(document: Document, primitive: dict[str, Any], count: int) -> Polygons | None:
    """Returns the triangles of a primitive, or None where it is points or lines."""
    mode = primitive.get("mode", TRIANGLES)
    corners = _corners(document, primitive, count)
    match mode:
        case 0 | 1 | 2 | 3:
            return None
        case 4:  # TRIANGLES
            if len(corners) % 3:
                raise ContentError(f"a primitive of triangles has {len(corners)} corners")
            return Polygons.triangles(corners.reshape(-1, 3))
        case 5:
            return triangles_of_strips(Polygons(corners, np.array([len(corners)])))
        case 6:
            hub = np.broadcast_to(corners[:1], max(len(corners) - 2, 0))
            return Polygons.triangles(np.stack([hub, corners[1:-1], corners[2:]], axis=1))
    raise ContentError(f"a primitive has mode {mode!r}, which glTF does not have")
