"""Clouds go to Open3D and come back as they were; it is asked itself where it is installed."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import pcclust
from pcclust.data import to_open3d


@pytest.fixture
def open3d(monkeypatch):
    """Open3D, or what has the three names of it that are used."""
    try:
        import open3d

        return open3d
    except ImportError:
        cloud = type("PointCloud", (), {"__module__": "open3d.cpu.pybind.t.geometry"})
        make = type("Cloud", (cloud,), {"__init__": lambda self: setattr(self, "point", {})})
        make.__name__, make.__module__ = "PointCloud", cloud.__module__
        tensor = lambda array: SimpleNamespace(  # noqa: E731
            cpu=lambda: SimpleNamespace(numpy=lambda: array), numpy=lambda: array
        )
        fake = SimpleNamespace(
            t=SimpleNamespace(geometry=SimpleNamespace(PointCloud=make)),
            core=SimpleNamespace(Tensor=tensor),
        )
        monkeypatch.setitem(sys.modules, "open3d", fake)
        return fake


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_cloud_comes_back_as_it_was(open3d, dtype):
    points = torch.rand(40, 3).to(dtype).requires_grad_()
    cloud = to_open3d(points, normals=pcclust.normals(points.detach().float()).normals, r=range(40))
    expected = points.detach().float() if dtype == torch.float16 else points.detach()
    np.testing.assert_array_equal(pcclust.rri(cloud, 8), pcclust.rri(expected.numpy(), 8))
    assert cloud.point["normals"].numpy().shape == (40, 3)
    assert cloud.point["r"].numpy()[:, 0].tolist() == list(range(40))


def test_it_does_not_share_memory(open3d):
    points = np.zeros((5, 3))
    cloud = to_open3d(points)
    points += 1
    assert (cloud.point["positions"].cpu().numpy() == 0).all()


@pytest.mark.parametrize(
    ("points", "values", "message"),
    [
        (np.zeros((5, 2)), {}, r"points must be \(N, 3\), got \(5, 2\)"),
        (np.zeros((5, 3)), {"r": np.zeros(4)}, r"r \(4,\) must have a row for each of 5 points"),
        (np.zeros((5, 3)), {"r": 1.0}, r"r \(\) must have a row"),
    ],
)
def test_wrong_shapes_are_named(points, values, message):
    with pytest.raises(ValueError, match=message):
        to_open3d(points, **values)


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(ImportError, match=r"Open3D's clouds need open3d .*'pcclust\[open3d\]'"):
        to_open3d(np.zeros((5, 3)))
