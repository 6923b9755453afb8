from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from pcclust.cluster import clustering_accuracy
from pcclust.losses import double_softmax
from pcclust.methods import spice_semi
from pcclust.methods.features import feature_set
from pcclust.methods.spice import RECIPE, SPICE, SPICEConfig, labelled_rows, stages
from pcclust.methods.spice_semi import SPICESemi, SPICESemiConfig, reliable_labels
from pcclust.methods.stages import NOTHING, Previous
from pcclust.nn import Clusterer, create_backbone
from pcclust.nn.cluster_heads import LinearHead
from pcclust.training import RunFolder, fit
from tests.methods.families import family_set

TINY = {"dataset": "x", "num_clusters": 3, "batch_size": 8, "workers": 1, "heads": 2}


def rows(count=24, width=5):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(0))


def create(count=24, **settings):
    return SPICE(SPICEConfig(**(TINY | settings)), feature_set(rows(count)), NOTHING)


def begin(method, epoch=0):
    with torch.no_grad():
        method.begin_epoch(epoch, lambda *_: None)
    return next(method.batches(epoch, 0))


def labelled_written_out(sure, features, each, surest):
    """The expectation step, cluster by cluster."""
    labelled = []
    for cluster in range(sure.shape[1]):
        order = sorted(range(len(sure)), key=lambda i: -float(sure[i, cluster]))[:surest]
        mean = sum(features[i] for i in order) / len(order)
        near = sorted(range(len(sure)), key=lambda i: -float(features[i] @ mean))[:each]
        labelled.append(near)
    return labelled


def test_the_expectation_step_is_that_of_the_paper():
    features = F.normalize(rows(), dim=1)
    sure = rows(24, 3).softmax(dim=1)
    assert labelled_rows(sure, features, 6, 4).tolist() == labelled_written_out(
        sure, features, 6, 4
    )


def test_every_cluster_labels_as_many_and_heads_learn_their_own():
    method = create()
    batch = begin(method)
    assert method.model.rows.shape == (2, 24)
    features = F.normalize(method.shapes.features, dim=1)
    losses = []
    for number, head in enumerate(method.model.heads["students"].heads):
        sure = head(method.shapes.features).softmax(dim=1)
        drawn = labelled_rows(sure, features, 8, 4)
        found = method.model.rows[number].view(3, 8)
        assert [sorted(row) for row in found.tolist()] == [sorted(row) for row in drawn.tolist()]
        scores = head(method.shapes.features[method.model.rows[number][batch.indices]])
        losses.append(double_softmax(scores, batch.indices // 8))
    expected = torch.stack(losses)
    torch.testing.assert_close(method.loss(method.model, batch)["loss"], expected.mean())
    torch.testing.assert_close(method.model.losses.float(), expected)


def groups_far_away():
    """Three groups in positive features, far from the origin and of unlike scales."""
    centers = torch.tensor([[3.0, 0, 0, 0], [0, 3, 0, 0], [0, 0, 3, 0]]).repeat(20, 1)
    noise = torch.randn(60, 4, generator=torch.Generator().manual_seed(1))
    return (centers + 0.3 * noise + 40) * torch.tensor([1.0, 1, 1, 30])


def test_features_far_from_the_origin_do_not_collapse(tmp_path):
    config = SPICEConfig(**(TINY | {"epochs": 8, "batch_size": 20, "learning_rate": 0.01}))
    method = SPICE(config, feature_set(groups_far_away()), NOTHING)
    fit(method, RunFolder(tmp_path / "run"))
    labels = method.assignments().argmax(dim=1)
    assert clustering_accuracy(torch.arange(60) % 3, labels) == 1


def test_the_saved_head_takes_features_as_they_are():
    raw = groups_far_away()
    raw[:, 2] = 7.0  # a column that is constant
    method = SPICE(SPICEConfig(**TINY), feature_set(raw), NOTHING)
    inside = method.model.heads["cluster"](method.shapes.features)
    torch.testing.assert_close(method._saved_head()(raw), inside, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("count", "steps"), [(24, 24), (4, 6)])
def test_few_shapes_are_trained_on_too(count, steps):
    method = create(count, repeats=8)
    assert method.steps_per_epoch == steps
    begin(method)
    assert sum(1 for _ in method.batches(0, 0)) == steps


def test_strong_views_are_learned_where_there_are_some():
    bank = feature_set(torch.cat([rows() + 10 * (view + 1) for view in range(3)]))
    previous = Previous(None, {"strong_views": bank})
    method = SPICE(SPICEConfig(**TINY), feature_set(rows()), previous)
    batch = begin(method)
    for number in range(2):
        shapes = method.model.rows[number][batch.indices]
        views = batch.points[:, number] * method._scale + method._mean
        offsets = views - rows()[shapes]
        torch.testing.assert_close(offsets, offsets[:, :1].expand_as(offsets), atol=1e-4, rtol=1e-4)
        assert set((offsets[:, 0] / 10).round().tolist()) <= {1.0, 2.0, 3.0}


def test_clusters_are_those_of_the_head_with_the_lowest_loss():
    method = create()
    method.model.losses.copy_(torch.tensor([2.0, 1.0]))
    assert method.evaluate()["head"] == 1
    expected = method.model.heads["students"].heads[1](method.shapes.features).softmax(dim=1)
    torch.testing.assert_close(method.assignments(), expected)


def test_reliable_labels_keep_as_many_of_every_cluster_that_has_any():
    features = torch.cat([torch.eye(4)[i].expand(n, 4) for i, n in enumerate((6, 3, 5, 2))])
    features = features + 0.01 * rows(16, 4)
    clusters = torch.tensor([0] * 6 + [1] * 3 + [3] * 5 + [0, 1])  # cluster 2 has none
    p = F.one_hot(clusters, 4) * 0.9 + 0.025
    found = reliable_labels(p, features, 2, 0.9, 0.5)
    kept = found[found >= 0]
    assert kept.bincount(minlength=4).tolist() == [3, 3, 0, 3]
    assert (found[14:] == -1).all()  # their neighbourhoods disagree
    assert (reliable_labels(p, features, 2, 0.9, 0.99) == -1).all()


def semi(count=24, **settings):
    shapes, _ = family_set(count, num_points=32)
    backbone = create_backbone("dgcnn", k=4, channels=[8], embedding=16)
    previous = SimpleNamespace(
        weights=None, load=lambda: Clusterer(backbone, LinearHead(backbone.out_channels, 3))
    )
    sure = {"agreement": 0.0, "confidence": 0.0, "neighbors": 3, "model": "dgcnn"}
    config = SPICESemiConfig(
        dataset="x", num_clusters=3, num_points=32, workers=1,
        model_kwargs={"k": 4, "channels": [8], "embedding": 16}, **(sure | settings),
    )  # fmt: skip
    return SPICESemi(config, shapes, previous)


def test_a_step_sees_so_many_others_beside_each_reliable_shape():
    method = semi(batch_size=2, unlabelled_ratio=3)
    assert method.steps_per_epoch == 4  # 24 / (2 · 3)
    begin(method)
    reliable = (method.model.reliable >= 0).nonzero()[:, 0].tolist()
    others, taught = [], []
    for batch in method.batches(1, 0):
        assert batch.points.shape == (2, 7, 32, 3)
        for cloud in batch.points[:, :3].flatten(0, 1):  # these are plain
            near = (method.shapes.points - cloud).abs().amax(dim=(1, 2))
            assert near.min() == 0
            others.append(int(near.argmin()))
        taught += method._seen(1)[0][batch.indices].tolist()
    assert sorted(others) == list(range(24))
    assert set(taught) <= set(reliable)
    assert len(taught) == 8


def test_no_neighbourhood_is_larger_than_half_a_cluster(monkeypatch):
    asked = []

    def reliable(probabilities, features, neighbors, agreement, confidence):
        asked.append(neighbors)
        return probabilities.argmax(dim=1)

    monkeypatch.setattr(spice_semi, "reliable_labels", reliable)
    begin(semi(neighbors=100))
    begin(semi(neighbors=2))
    assert asked == [4, 2]  # of 24 shapes in 3 clusters


def test_few_shapes_are_fewer_beside_each_reliable_one():
    method = semi(count=9, batch_size=4, unlabelled_ratio=7)
    assert (method.ratio, method.steps_per_epoch) == (2, 1)
    assert begin(method).points.shape == (4, 5, 32, 3)


def test_both_losses_are_learned():
    method = semi(batch_size=2, unlabelled_ratio=3, threshold=0.3)
    batch = begin(method)
    method.model.eval()
    found = method.loss(method.model, batch)
    scores = method.model(batch.points.flatten(0, 1), ["online"])["online"].view(2, 7, 3)
    labels = method.model.reliable[method._seen(0)[0][batch.indices]]
    supervised = F.cross_entropy(scores[:, 6], labels)
    p = scores[:, :3].reshape(-1, 3).softmax(dim=1)
    costs = F.cross_entropy(scores[:, 3:6].reshape(-1, 3), p.argmax(1), reduction="none")
    expected = supervised + (costs * (p.amax(1) >= 0.3)).mean()
    torch.testing.assert_close(found["loss"], expected)


def test_what_is_saved_is_the_average_of_weights_and_statistics():
    method = semi(batch_size=2, unlabelled_ratio=3, momentum=0.5)
    method.model.train()
    slow, fast = method.model.heads["encoder"].state_dict(), method.model.encoder.state_dict()
    expected = {name: value.clone() for name, value in slow.items()}
    for steps in range(1, 15):
        with torch.no_grad():
            for value in fast.values():
                value.add_(1)
        method.after_step()
        kept = min(0.5, steps / (steps + 9))
        for name, value in fast.items():
            whole = not value.is_floating_point()
            before = expected[name]
            expected[name] = value.clone() if whole else kept * before + (1 - kept) * value
            torch.testing.assert_close(slow[name], expected[name])
    model, _ = method.saved()
    assert model.backbone is method.model.heads["encoder"]
    assert model.head is method.model.heads["cluster"]


def test_stages():
    shapes, _ = family_set(24, num_points=32)
    config = RECIPE.preset(spice=TINY | {"num_points": 32})
    with pytest.raises(ValueError, match="give --init"):
        stages(config, shapes)
    assert [stage.name for stage in stages(config, feature_set(rows()))] == ["spice"]
    config = RECIPE.preset(spice=TINY | {"num_points": 32, "init": "somewhere"})
    names = [stage.name for stage in stages(config, shapes)]
    assert names == ["features", "strong_views", "spice", "semi"]


@pytest.mark.parametrize(
    "settings", [{"heads": 0}, {"samples": 0}, {"repeats": 0}, {"center_ratio": 0.0}]
)
def test_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        SPICEConfig(**(TINY | settings))
    with pytest.raises(ValueError, match="threshold"):
        SPICESemiConfig(num_clusters=3, threshold=2.0)
