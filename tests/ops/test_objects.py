"""What holds points is taken as it is: arrays, DLPack, clouds of trimesh, Open3D and PyG."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

import pcclust
from pcclust.ops._objects import open_points

POINTS = np.random.default_rng(0).standard_normal((30, 3))
EXPECTED = pcclust.knn(POINTS, 4).indices


class OfLibrary:
    """Stands for an object of a library that is not installed here."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


def of(module: str, name: str, **fields: Any) -> Any:
    return type(name, (OfLibrary,), {"__module__": module})(**fields)


class WithArray:
    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return POINTS


class WithDLPack:
    def __dlpack__(self, **options: Any) -> Any:
        return torch.from_numpy(POINTS).__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return torch.from_numpy(POINTS).__dlpack_device__()


OBJECTS = {
    "__array__": WithArray(),
    "trimesh": trimesh.PointCloud(POINTS),
    "open3d": of("open3d.cpu.pybind.geometry", "PointCloud", points=POINTS.tolist()),
    "open3d tensors": of(
        "open3d.cpu.pybind.t.geometry",
        "PointCloud",
        point={"positions": torch.from_numpy(POINTS)},
    ),
}
TENSORS = {
    "dlpack": WithDLPack(),
    "Data": of("torch_geometric.data.data", "Data", pos=torch.from_numpy(POINTS)),
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_what_is_like_an_array_gives_arrays(kind: str) -> None:
    found = pcclust.knn(OBJECTS[kind], 4, queries=OBJECTS[kind]).indices
    assert isinstance(found, np.ndarray)
    assert (found == EXPECTED).all()
    assert (pcclust.NeighborIndex(OBJECTS[kind]).knn(4).indices == EXPECTED).all()


@pytest.mark.parametrize("kind", TENSORS)
def test_what_is_like_a_tensor_gives_tensors(kind: str) -> None:
    assert pcclust.knn(TENSORS[kind], 4).indices.tolist() == EXPECTED.tolist()
    assert isinstance(pcclust.NeighborIndex(TENSORS[kind]).knn(4).indices, torch.Tensor)


def test_a_batch_of_pyg_is_packed() -> None:
    points, ptr = torch.from_numpy(POINTS), torch.tensor([0, 10, 30])
    batch = of("torch_geometric.data.batch", "DataBatch", pos=points, ptr=ptr)
    expected = pcclust.knn(points, 3, offsets=ptr)
    assert torch.equal(pcclust.knn(batch, 3).indices, expected.indices)
    with pytest.raises(ValueError, match="know their clouds, but offsets is given as well"):
        pcclust.knn(batch, 3, offsets=ptr)


def test_meshes_are_refused() -> None:
    with pytest.raises(TypeError, match="points is a Trimesh of trimesh, which"):
        pcclust.rri(trimesh.creation.box(), 3)
    with pytest.raises(TypeError, match="TriangleMesh of open3d"):
        open_points(of("open3d.geometry", "TriangleMesh"), "points")
    with pytest.raises(TypeError, match="points is a Data of PyG without pos"):
        pcclust.knn(of("torch_geometric.data", "Data"), 3)


def test_the_cloud_of_each_point_serves_for_offsets() -> None:
    points, numbers = torch.from_numpy(POINTS), torch.arange(3).repeat_interleave(10)
    offsets = torch.tensor([0, 10, 20, 30])
    for function in (pcclust.knn, pcclust.rri, pcclust.farthest_point_sample):
        found, expected = function(points, 2, batch=numbers), function(points, 2, offsets=offsets)
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one, other)
    labels = pcclust.ward_labels(points, 2, batch=numbers)
    assert torch.equal(labels, pcclust.ward_labels(points, 2, offsets=offsets))
    index = pcclust.NeighborIndex(points, batch=numbers)
    assert torch.equal(index.knn(2).indices, pcclust.knn(points, 2, offsets=offsets).indices)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([0, 1, 0], "batch of points must be sorted, but 0 follows 1 at 2"),
        ([0, 0, 2], "no point of cloud 1"),
        ([-1, 0, 0], "holds -1"),
        ([0, 0], r"batch of points must be \(3,\), got \(2,\)"),
    ],
)
def test_a_batch_that_tells_no_clouds_is_refused(batch: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pcclust.knn(torch.rand(3, 3), 1, batch=torch.tensor(batch))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (torch.nested.nested_tensor([torch.rand(3, 3), torch.rand(5, 3)]), "must not be nested"),
        (torch.rand(4, 3).to_sparse(), "must be dense, got torch.sparse_coo"),
        (torch.rand(4, 3).to_mkldnn(), "must be dense, got torch._mkldnn"),
        (None, "must be a torch tensor or a NumPy array, got NoneType"),
        ([[0.0, 1.0, 2.0]], "must be a torch tensor or a NumPy array, got list"),
        (SimpleNamespace(), ".* got SimpleNamespace"),
    ],
)
def test_other_tensors_are_refused_by_name(points: Any, message: str) -> None:
    for call in (
        lambda: pcclust.knn(points, 1),
        lambda: pcclust.rri(points, 1),
        lambda: pcclust.ward_linkage(points),
        lambda: pcclust.NeighborIndex(points),
    ):
        with pytest.raises((TypeError, ValueError), match=f"points {message}"):
            call()
    with pytest.raises((TypeError, ValueError), match=r"queries|k="):
        pcclust.knn(torch.rand(4, 3), 5, queries=points)


def test_points_along_the_last_axis_are_asked_about() -> None:
    turned = torch.rand(2, 3, 100)
    for call in (lambda: pcclust.knn(turned, 5), lambda: pcclust.rri(turned, 2)):
        with pytest.raises(ValueError, match="did you mean to transpose"):
            call()
