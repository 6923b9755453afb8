"""Encoders as ONNX: the graph by torch alone, and the file by onnxruntime where that is here."""

import re
import sys

import numpy as np
import pytest
import torch

from pcclust.cli.main import main
from pcclust.nn import DGCNN, Classifier, ClusterNet, PointNet
from pcclust.nn.onnx_export import (
    _edge_reduce,
    _knn,
    _refuse_foreign,
    _traced,
    compare_onnx,
    export_onnx,
)
from pcclust.nn.weights import save_weights
from pcclust.ops import knn
from pcclust.ops.edge_reduce import edge_reduce


def small_dgcnn():
    torch.manual_seed(0)
    model = DGCNN(k=4, channels=[4, 6], embedding=5)
    for module in model.modules():  # signs and statistics of a trained one
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.running_mean)
    return model.eval()


@pytest.fixture
def points():
    return torch.randn(3, 16, 3, generator=torch.Generator().manual_seed(1))


def test_neighbours_are_those_of_knn(points):
    offsets = torch.arange(4) * 16
    rows = points.flatten(0, 1)
    sizes = torch.full((3,), 16)
    distances, indices = _knn(rows, offsets[:-1], sizes, None, None, None, True, 5, False)
    found = knn(rows, 5, offsets=offsets)
    assert torch.equal(indices, found.indices)
    torch.testing.assert_close(distances, found.distances, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="packed points among themselves only"):
        _knn(rows, offsets[:-1], sizes, None, None, None, True, 5, True)


def test_maxima_are_those_of_the_operator(points):
    neighbors = knn(points, 5).indices.flatten(0, 1)
    projected = torch.randn(48, 2, 7, generator=torch.Generator().manual_seed(2))
    starts, sizes = torch.arange(3) * 16, torch.full((3,), 16)
    sign = torch.tensor([1.0, -1, 1, -1, 1, 1, -1])
    found, _, sums = _edge_reduce(projected, neighbors, starts, sizes, sign, False)
    expected = torch.ops.pcclust.edge_reduce(projected, neighbors, starts, sizes, sign, False)
    torch.testing.assert_close(found, expected[0])
    assert sums.shape == expected[2].shape
    assert edge_reduce is not None


def test_the_graph_does_what_the_model_does_for_any_batch(points):
    model = small_dgcnn()
    graph = _traced(model, 16)
    _refuse_foreign(graph, model)
    for batch in (points, torch.cat([points, points + 1])):
        with torch.no_grad():
            torch.testing.assert_close(graph.module()(batch), model(batch), atol=1e-5, rtol=1e-5)


@pytest.mark.slow  # the tracer takes its time for ClusterNet
def test_what_has_no_form_is_said(tmp_path):
    pytest.importorskip("onnxscript", reason="pcclust[onnx] is not installed")
    with pytest.raises(ValueError, match=r"ClusterNet has no form in ONNX: .* for .*ward_linkage"):
        export_onnx(ClusterNet(), tmp_path / "model.onnx", num_points=128)
    assert not list(tmp_path.iterdir())


def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"export to ONNX needs onnxscript .*'pcclust\[onnx\]'"):
        export_onnx(PointNet(), tmp_path / "model.onnx")


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["export", *map(str, arguments)])
    return int(stop.value.code or 0)


def test_the_command_writes_weights_and_asks_onnxruntime(tmp_path, capsys):
    pytest.importorskip("onnxscript", reason="pcclust[onnx] is not installed")
    pytest.importorskip("onnxruntime")
    card = {"model": "pointnet", "model_kwargs": {"embedding": 8}, "class_names": []}
    save_weights(tmp_path, PointNet(embedding=8), {**card, "num_points": 16})
    out = tmp_path / "model.onnx"
    assert run(tmp_path, out) == 0
    printed = capsys.readouterr().out
    assert "points (batch, 16, 3)" in printed
    apart = float(re.search(r"differs from torch by at most (\S+)", printed)[1])
    assert apart < 1e-5
    assert compare_onnx(PointNet(embedding=8), out, num_points=16) > 1e-3  # another model


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "model.onnx"], "nowhere"),
        (["nowhere", "model.pt"], "model.pt must end in .onnx"),
        (["nowhere", "model.onnx", "--num-points", 0], "--num-points 0 must be at least 1"),
    ],
)
def test_wrong_use_of_the_command(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) in (1, 2)
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_onnxruntime_says_what_torch_says(tmp_path, points):
    pytest.importorskip("onnxscript", reason="pcclust[onnx] is not installed")
    runtime = pytest.importorskip("onnxruntime")
    model = Classifier(small_dgcnn(), 3).train()
    path = export_onnx(model, tmp_path / "model.onnx", num_points=16)
    assert model.training  # as it was
    session = runtime.InferenceSession(str(path))
    for batch in (points, points[:1]):
        (found,) = session.run(["features"], {"points": batch.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(found, model.eval()(batch).numpy(), atol=1e-5)
