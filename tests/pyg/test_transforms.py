"""Transforms of PyTorch Geometric, alone and composed, of one cloud and of many."""

import sys

import pytest
import torch

import pcclust
from pcclust import pyg


def test_without_pyg_transforms_name_the_extra_and_functions_work(monkeypatch):
    monkeypatch.delitem(sys.modules, "pcclust.pyg.transforms", raising=False)
    for name in [name for name in sys.modules if name.startswith("torch_geometric")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch_geometric", None)
    with pytest.raises(ImportError, match=r"pip install 'pcclust\[pyg\]'"):
        _ = pyg.KNNGraph
    assert pyg.knn_graph(torch.rand(5, 3), 2).shape == (2, 10)
    with pytest.raises(AttributeError, match="has no attribute 'GridSampling'"):
        _ = pyg.GridSampling


class TestTransforms:
    """With PyTorch Geometric itself."""

    @pytest.fixture(autouse=True)
    def _geometric(self):
        self.data = pytest.importorskip("torch_geometric.data")
        self.transforms = pytest.importorskip("torch_geometric.transforms")
        generator = torch.Generator().manual_seed(0)
        self.clouds = [
            self.data.Data(pos=torch.randn(n, 3, generator=generator)) for n in (30, 8, 50)
        ]
        self.batch = self.data.Batch.from_data_list(self.clouds)

    def test_a_batch_has_the_edges_and_features_of_its_clouds(self):
        chain = self.transforms.Compose([pyg.RRI(7), pyg.KNNGraph(k=4)])
        whole = chain(self.batch)
        one_by_one = self.data.Batch.from_data_list([chain(cloud) for cloud in self.clouds])
        assert torch.equal(whole.edge_index, one_by_one.edge_index)
        torch.testing.assert_close(whole.rri, one_by_one.rri)
        assert torch.equal(self.clouds[0].pos, chain(self.clouds[0]).pos)
        assert "rri" not in self.clouds[0]  # the data given stay as they were
        torch.testing.assert_close(
            chain(self.clouds[2]).rri, pcclust.rri(self.clouds[2].pos, 7), rtol=0, atol=0
        )

    def test_knn_graph_as_of_pyg(self):
        theirs = self.transforms.KNNGraph(k=5, loop=True, flow="target_to_source")
        ours = pyg.KNNGraph(k=5, loop=True, flow="target_to_source")
        assert isinstance(ours, self.transforms.BaseTransform)
        assert repr(ours) == repr(theirs) == "KNNGraph(k=5)"
        assert {**vars(theirs)} == {**vars(ours)}
        assert vars(self.transforms.RadiusGraph(r=2.0)) == vars(pyg.RadiusGraph(r=2.0))
        pos = self.clouds[1].pos
        found = ours(self.data.Data(pos=pos, edge_attr=torch.rand(3))).edge_index
        assert torch.equal(found[1].view(8, 5), torch.cdist(pos, pos).argsort(dim=1)[:, :5])

    def test_undirected_edges_go_both_ways(self):
        edges = pyg.KNNGraph(k=2, force_undirected=True)(self.batch).edge_index
        pairs = set(zip(*edges.tolist(), strict=True))
        directed = pyg.KNNGraph(k=2)(self.batch).edge_index
        assert pairs == {pair for i, j in directed.T.tolist() for pair in ((i, j), (j, i))}

    def test_radius_graph_keeps_to_the_clouds(self):
        edges = pyg.RadiusGraph(r=1.0)(self.batch).edge_index
        assert torch.equal(self.batch.batch[edges[0]], self.batch.batch[edges[1]])
        lengths = (self.batch.pos[edges[0]] - self.batch.pos[edges[1]]).norm(dim=1)
        assert len(lengths) > 0
        assert float(lengths.max()) <= 1

    def test_features_may_join_those_of_the_points(self):
        cloud = self.clouds[0].clone()
        cloud.x = torch.arange(30)
        joined = pyg.RRI(5, attr_name=None)(cloud).x
        assert torch.equal(joined[:, 0], torch.arange(30.0))
        assert torch.equal(joined[:, 1:], pcclust.rri(cloud.pos, 5).flatten(1))
        assert pyg.RRI(5, attr_name=None)(self.clouds[0]).x.shape == (30, 20)

    def test_what_cannot_be_is_said(self):
        with pytest.raises(TypeError, match=r"RRI\(k=20\) needs a Data with pos"):
            pyg.RRI()(self.data.Data(x=torch.rand(3, 3)))
        with pytest.raises(ValueError, match="k=20 exceeds the 7 other points of cloud 1"):
            pyg.RRI()(self.batch)
