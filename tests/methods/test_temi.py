import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import pcclust
from pcclust.losses import weighted_pmi
from pcclust.methods.features import feature_set
from pcclust.methods.temi import RECIPE, TEMI, TEMIConfig, stages

TINY = {
    "dataset": "x", "num_clusters": 3, "batch_size": 8, "workers": 1, "heads": 2, "hidden": 12,
    "bottleneck": 8, "neighbors": 4,
}  # fmt: skip


def create(count=24, **settings):
    features = torch.randn(count, 6, generator=torch.Generator().manual_seed(0))
    return TEMI(RECIPE.preset(**(TINY | settings)), feature_set(features))


def begin(method, epoch=0):
    with torch.no_grad():
        method.begin_epoch(epoch, None)
    return next(method.batches(epoch, 0))


def test_pairs_are_shapes_and_near_ones_by_the_cosine_never_themselves():
    method = create()
    batch = begin(method)
    features = method.shapes.features
    cosines = F.normalize(features, dim=1) @ F.normalize(features, dim=1).T
    cosines.fill_diagonal_(-torch.inf)
    nearest = cosines.topk(4, dim=1).indices
    for row, (shape, other) in zip(batch.indices, batch.points, strict=True):
        assert torch.equal(shape, features[row])
        assert any(torch.equal(other, features[near]) for near in nearest[row])


def test_there_are_fewer_neighbours_where_there_are_fewer_shapes():
    method = create(count=3, batch_size=2, neighbors=50)
    begin(method)
    assert sorted(map(sorted, method.model.neighbors.tolist())) == [[0, 1], [0, 2], [1, 2]]


def test_heads_may_learn_from_principal_components_and_are_saved_for_all_channels():
    method = create(components=3)
    assert method.shapes.features.shape == (24, 3)
    batch = begin(method)
    method.loss(method.model, batch)
    with torch.no_grad():
        for parameter in method.model.heads["teachers"].parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        method.evaluate()
    model, card = method.saved()
    assert (
        model.head.width == model.backbone.out_channels == card["model_kwargs"]["out_channels"] == 6
    )
    features = method.given.features
    torch.testing.assert_close(
        model(features), method.model.heads["cluster"](method.shapes.features), atol=1e-4, rtol=1e-4
    )
    expected = torch.linalg.svd(features - features.mean(dim=0))[2][:3].T
    ours = method._axes.T @ torch.linalg.pinv(method._axes.T)
    torch.testing.assert_close(ours, expected @ expected.T, atol=1e-4, rtol=1e-3)
    assert method.data_sha256 == create().data_sha256


def test_few_shapes_are_seen_often_enough():
    method = create(epochs=4, least_steps=50)
    assert method.steps_per_epoch == 13  # 4 · 13 ≥ 50, where 24 shapes make 3 batches of 8
    order = method.order(0)
    assert len(order) >= 13 * 8
    times = order[: 4 * 24].bincount(minlength=24)
    assert times.tolist() == [4] * 24
    assert not torch.equal(order[:24], order[24:48])
    assert create(epochs=4, least_steps=0).steps_per_epoch == 3


def test_the_loss_is_that_of_each_head_with_its_marginal():
    method = create(beta=0.7, marginal_momentum=0.5)
    batch = begin(method, 1)
    students, teachers = method.model.heads["students"].heads, method.model.heads["teachers"]
    with torch.no_grad():
        teachers[0].prototypes.mul_(-1)  # so that they differ
    marginal = method.model.marginal.clone()
    found = method.loss(method.model, batch)
    pairs = batch.points.transpose(0, 1)
    s = torch.stack([head(pairs) for head in students], dim=1)
    t = torch.stack([head(pairs) for head in teachers], dim=1)
    expected = 0.5 * marginal + 0.5 * t.softmax(dim=3).mean(dim=(0, 2))
    torch.testing.assert_close(method.model.marginal, expected)
    losses = weighted_pmi(s, t, expected, 0.7)
    torch.testing.assert_close(found["loss"], losses.mean())
    torch.testing.assert_close(method.model.losses.float(), losses)


def test_prototypes_rest_for_an_epoch_and_teachers_follow():
    method = create(momentum=0.75)
    students = method.model.heads["students"].heads
    for epoch, learned in ((0, False), (1, True)):
        batch = begin(method, epoch)
        method.model.zero_grad()
        method.loss(method.model, batch)["loss"].backward()
        assert all((head.prototypes.grad is not None) == learned for head in students)
        assert all(p.grad is None for p in method.model.heads["teachers"].parameters())
    with torch.no_grad():
        students[1].prototypes.add_(1)
    before = method.model.heads["teachers"][1].prototypes.clone()
    method.after_step()
    moved = method.model.heads["teachers"][1].prototypes
    torch.testing.assert_close(moved, 0.75 * before + 0.25 * students[1].prototypes)


def test_clusters_are_those_of_the_head_with_the_lowest_loss():
    method = create()
    method.model.losses.copy_(torch.tensor([2.0, 1.0]))
    measured = method.evaluate()
    assert measured["head"] == 1
    scores = method.model.heads["teachers"][1](method.shapes.features)
    torch.testing.assert_close(method.assignments(), scores.softmax(dim=1))


def test_a_constant_channel_is_no_nan():
    features = torch.randn(24, 6, generator=torch.Generator().manual_seed(0))
    features[:, 2] = 7
    method = TEMI(RECIPE.preset(**TINY), feature_set(features))
    assert method.loss(method.model, begin(method))["loss"].isfinite()
    assert method.assignments().isfinite().all()


def test_shapes_need_an_encoder():
    config = RECIPE.preset(**TINY)
    with pytest.raises(ValueError, match="give --init"):
        stages(config, None)


@pytest.mark.parametrize(
    "settings",
    [{"heads": 0}, {"temperature": 0.0}, {"beta": 0.5}, {"momentum": 1.0}, {"neighbors": 0}],
)
def test_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        TEMIConfig(dataset="x", num_clusters=3, **settings)


@pytest.mark.slow
def test_two_processes_find_the_clusters_of_one(tmp_path):
    """Within rounding of the weights, so every shape whose cluster is sure has the same."""
    features = torch.randn(48, 6, generator=torch.Generator().manual_seed(0))
    features[:24] += 4
    np.save(tmp_path / "features.npy", features.numpy())
    settings = [
        "pretrain", "temi", str(tmp_path / "features.npy"), "--clusters", "3", "--heads", "2",
        "--hidden", "12", "--bottleneck", "8", "--neighbors", "4", "--epochs", "3",
        "--batch-size", "8", "--least-steps", "60", "--warmup-epochs", "0",
        "--learning-rate", "0.02", "--out",
    ]  # fmt: skip
    one, two = tmp_path / "one", tmp_path / "two"
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    launch += ["--local-addr=127.0.0.1", "-m"]
    for start, out in (([], one), (launch, two)):
        done = subprocess.run(
            [sys.executable, "-m", *start, "pcclust", *settings, str(out)],
            capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    models = [pcclust.load(out) for out in (one, two)]
    for (name, value), other in zip(
        models[0].state_dict().items(), models[1].state_dict().values(), strict=True
    ):
        torch.testing.assert_close(other, value, rtol=1e-3, atol=1e-4, msg=name)
    first, second = (model(features).argmax(dim=1) for model in models)
    assert torch.equal(first, second)
