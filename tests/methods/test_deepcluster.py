import pytest
import torch
from torch.nn import functional as F

import pcclust
from pcclust.cluster import PCAWhitening, unit_length
from pcclust.cluster.metrics import clustering_accuracy
from pcclust.methods.deepcluster import RECIPE, DeepCluster
from pcclust.methods.pipeline import Pipeline
from tests.methods.families import POINTS, families, family_set, write_families
from tests.methods.resumption import check_same_bits_after_kills

# Sees no pose, and is as small as three families need.
ENCODER = {
    "model": "clusternet",
    "model_kwargs": {
        "num_clusters": [16, 4],
        "neighbors": [8, 4, 1],
        "channels": [[16], [32], [32]],
        "embedding": 32,
    },
}
TINY = {
    "num_clusters": 3,
    "num_points": 32,
    "epochs": 2,
    "batch_size": 6,
    "workers": 1,
    "components": 4,
    "model": "dgcnn",
    "model_kwargs": {"k": 4, "channels": [8], "embedding": 16},
}


def create(count=24, **settings):
    config = RECIPE.preset(dataset="x", **(TINY | settings))
    return DeepCluster(config, family_set(count, num_points=32)[0])


@pytest.mark.slow
def test_it_finds_three_families(tmp_path):
    file = write_families(tmp_path / "shapes.h5")
    config = RECIPE.preset(
        dataset=str(file), num_clusters=3, num_points=POINTS, components=8, batch_size=12,
        epochs=6, reassign=3, max_scale=1.1, **ENCODER,
    )  # fmt: skip
    assert Pipeline(RECIPE, config, tmp_path / "run").run().complete
    model = pcclust.load(tmp_path / "run")
    for seed in (0, 1):  # those it was trained on, and others
        points, labels = families(seed=seed)
        assert clustering_accuracy(labels, model.assign(points).argmax(dim=1)) >= 0.98


def test_killed_and_resumed_it_has_the_same_bits(tmp_path):
    file = write_families(tmp_path / "shapes.h5", 24, num_points=32)
    settings = TINY | {"dataset": str(file), "epochs": 4}
    check_same_bits_after_kills("deepcluster", settings, tmp_path)


def test_clusters_are_those_of_whitened_features_of_length_one():
    method = create()
    with torch.no_grad():
        list(method.begin_epoch(0, lambda *_: None))
    features = method.features()
    prepared = unit_length(PCAWhitening(4, eps=1e-3).fit_transform(features))
    head = method.model.heads["cluster"]
    torch.testing.assert_close(head.prepared(features), prepared, atol=1e-4, rtol=1e-4)
    nearest = torch.cdist(prepared, head.centers).argmin(dim=1)
    assert torch.equal(nearest, method.labels)
    assert torch.equal(method.assignments().argmax(dim=1), method.labels)
    spread = (prepared - head.centers[nearest]).square().mean()
    assert float(head.variance) == pytest.approx(float(spread), rel=1e-3)


def test_the_classifier_is_made_anew_and_its_optimiser_state_dropped():
    method = create(reassign=2)
    classifier = method.model.heads["classifier"]
    with torch.no_grad():
        first = list(method.begin_epoch(0, lambda *_: None))
        assert [id(p) for p in first] == [id(p) for p in classifier.parameters()]
        before = classifier.weight.clone()
        assert list(method.begin_epoch(1, lambda *_: None)) == []
        assert torch.equal(before, classifier.weight)
        assert len(list(method.begin_epoch(2, lambda *_: None))) == 2
    assert not torch.equal(before, classifier.weight)


def test_clusters_are_drawn_equally_often_and_labels_stay_with_their_shapes():
    method = create(rotation="none", jitter=0.0, max_scale=1.0)
    method.labels.copy_(torch.tensor([0] * 18 + [2] * 6))  # cluster 1 is empty
    drawn = method.labels[method.order(0)]
    assert drawn.bincount(minlength=3).tolist() == [12, 0, 12]
    method.model.eval()
    for batch in method.batches(0, 0):
        assert torch.equal(batch.points[:, 0], method.shapes.points[batch.indices])
        scores = method.model(batch.points[:, 0])["classifier"]
        expected = F.cross_entropy(scores, method.labels[batch.indices])
        torch.testing.assert_close(method.loss(method.model, batch)["loss"], expected)


def test_dead_channels_and_rows_of_zeros_make_no_nan():
    method = create()
    features = torch.randn(24, 32, generator=torch.Generator().manual_seed(0))
    features[:, 3:] = 0
    features[0] = features.mean(dim=0)
    method._features = features
    method.cluster(0, lambda *_: None)
    assert method.assignments().isfinite().all()


def test_equal_features_are_refused():
    method = create()
    method._features = torch.ones(24, 32)
    with pytest.raises(ValueError, match="features of all 24 items are equal: the encoder has"):
        method.cluster(0, lambda *_: None)
