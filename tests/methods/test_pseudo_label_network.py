import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

import pcclust
from pcclust.data import PointDataset
from pcclust.data.splits import balanced_order
from pcclust.methods.pseudo_label_network import PseudoLabelConfig, PseudoLabelNetwork
from pcclust.training import RunFolder, fit
from tests.methods.test_classification import CLUSTERS, shapes

SMALL = {
    "epochs": 1,
    "batch_size": 6,
    "num_points": 48,
    "num_clusters": 4,
    "model": "dgcnn",
    "model_kwargs": {"k": 4, "channels": [8], "embedding": 16},
}


def create(labels=None, **settings):
    points, classes = shapes(48, 0)
    found = torch.from_numpy(classes) if labels is None else labels
    config = PseudoLabelConfig(**(SMALL | settings))
    return PseudoLabelNetwork(config, PointDataset(torch.from_numpy(points)), found)


def test_it_learns_the_clusters(tmp_path):
    method = create(epochs=12, learning_rate=0.01)
    fit(method, RunFolder(tmp_path / "run"))
    model = pcclust.load(tmp_path / "run")
    hits = model(method.shapes.points).argmax(dim=1) == method.shapes.labels
    assert hits.float().mean() > 0.8  # a third by chance
    assert model.card["class_names"] == [f"cluster {i}" for i in range(4)]
    assert model.card["config"]["num_clusters"] == 4


def test_the_loss_is_smoothed_cross_entropy():
    method = create(label_smoothing=0.2)
    method.model.eval()
    batch = next(method.batches(0, 0))
    found = method.loss(method.model, batch)
    logs = F.log_softmax(method.model(batch.points), dim=1)
    smooth = 0.8 * F.one_hot(batch.labels, 4) + 0.2 / 4
    assert found["loss"].item() == pytest.approx(-(smooth * logs).sum(dim=1).mean().item())
    assert found["accuracy"].item() == (logs.argmax(1) == batch.labels).float().mean().item()


def test_labels_stay_with_their_shapes():
    plain = {"rotation": "none", "jitter": 0.0, "max_scale": 1.0}
    for balanced in (False, True):
        method = create(balanced=balanced, **plain)
        seen = []
        for batch in method.batches(3, 0):
            for points, label in zip(batch.points, batch.labels, strict=True):
                at = (method.shapes.points == points).all(dim=(1, 2)).nonzero()
                seen.append(int(at))
                assert method.shapes.labels[at] == label
        assert seen == method.order(3)[:48].tolist()
        assert method.order(3).tolist() != method.order(4).tolist()
        later = list(method.batches(3, 5))
        assert len(later) == 3
        assert torch.equal(later[-1].points, batch.points)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(0, 9))
def test_balanced_sampling_gives_every_cluster_the_same_share(labels, seed):
    every = torch.tensor(labels)
    order = balanced_order(every, torch.Generator().manual_seed(seed))
    assert len(order) == len(every)
    counts = every[order].bincount(minlength=7)
    present = every.bincount(minlength=7) > 0
    assert int(counts[present].max() - counts[present].min()) <= 1
    assert not counts[~present].any()
    for label in present.nonzero().flatten().tolist():
        members = (every == label).nonzero().flatten()
        uses = order.bincount(minlength=len(every))[members]
        assert int(uses.max() - uses.min()) <= 1


def test_without_balance_every_shape_comes_once():
    labels = torch.tensor([0] * 40 + [1] * 8)
    assert sorted(create(labels).order(0).tolist()) == list(range(48))
    drawn = create(labels, balanced=True)
    counts = drawn.shapes.labels[drawn.order(0)].bincount()
    assert counts.tolist() == [24, 24]


@pytest.mark.parametrize("settings", [{}, {"balanced": True}, CLUSTERS])
def test_same_seed_same_bits_also_when_interrupted(tmp_path, settings):
    whole = create(epochs=2, **settings)
    fit(whole, RunFolder(tmp_path / "whole"))
    for _ in range(3):
        fit(create(epochs=2, **settings), RunFolder(tmp_path / "cut"), resume=True, minutes=0)
    resumed = create(epochs=2, workers=0, **settings)
    assert fit(resumed, RunFolder(tmp_path / "cut"), resume=True).complete
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_other_labels_are_other_data(tmp_path):
    fit(create(), RunFolder(tmp_path / "run"), minutes=0)
    with pytest.raises(ValueError, match="was made with other training data"):
        fit(create(torch.zeros(48, dtype=torch.int64)), RunFolder(tmp_path / "run"), resume=True)


def test_wrong_settings_and_labels():
    assert create(batch_size=50).config.batch_size == 48
    with pytest.raises(ValueError, match=r"label 4 has no name among 4 class names"):
        create(torch.arange(48) % 5)
    with pytest.raises(ValueError, match=r"48 shapes need \(48,\) labels, got \(47,\)"):
        create(torch.zeros(47, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"shapes of 48 points are too small for DGCNN: k=50"):
        create(model_kwargs={"k": 50})
