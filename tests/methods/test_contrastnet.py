import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import pcclust
from pcclust.data import PointDataset
from pcclust.data.part_pairs import part_pairs
from pcclust.methods.contrastnet import ContrastNet, ContrastNetConfig, cutting_planes
from pcclust.nn import backbones
from pcclust.training import RunFolder, fit
from tests.methods.test_classification import CLUSTERS, write

SMALL = {
    "epochs": 1,
    "batch_size": 6,
    "num_points": 48,
    "num_planes": 4,
    "model": "dgcnn",
    "model_kwargs": {"k": 4, "channels": [8], "embedding": 16},
}
POSED = {
    "model": "canonical-pose",
    "model_kwargs": {"backbone": "pointnet", "model_kwargs": {"embedding": 16}},
}
PLAIN = {"rotation": "none", "jitter": 0.0, "max_scale": 1.0}


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "shapes.h5")


def create(dataset, **settings):
    return ContrastNet(ContrastNetConfig(dataset=str(dataset), **(SMALL | settings)))


def first_loss(method):
    torch.manual_seed(0)
    return method.loss(method.model, next(method.batches(0, 0)))


def test_it_learns_which_parts_are_of_one_object(tmp_path):
    """Balls and rods: a part tells which, so half of the pairs of two objects are recognised."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(48, 48, 3, generator=generator)
    points[::2] *= torch.tensor([0.05, 0.05, 1.0])
    shapes = PointDataset(points / points.norm(dim=2).amax(dim=1)[:, None, None])
    config = ContrastNetConfig(
        dataset="balls and rods", **(SMALL | PLAIN | {"epochs": 25, "learning_rate": 0.01})
    )
    method = ContrastNet(config, shapes)
    seen = []
    record = method.loss
    method.loss = lambda *given: seen.append(record(*given)) or seen[-1]
    assert fit(method, RunFolder(tmp_path / "run")).complete
    accuracies = [float(values["accuracy"]) for values in seen]
    assert np.mean(accuracies[:8]) < 0.62
    assert np.mean(accuracies[-24:]) > 0.66
    losses = [float(values["loss"].detach()) for values in seen]
    assert np.mean(losses[-24:]) < np.mean(losses[:8]) - 0.05


@pytest.mark.parametrize("group", [2, 3, 6])
@pytest.mark.parametrize("shared", [True, False])
def test_the_loss_is_that_of_all_pairs_with_a_third_for_those_of_one_object(file, group, shared):
    method = create(file, group=group, shared=shared, part_points=20)
    method.model.eval()
    batch = next(method.batches(0, 0))
    found = method.loss(method.model, batch)
    parts = batch.parts.flatten(0, 1)
    losses, hits = {0: [], 1: []}, {0: [], 1: []}
    for start in range(0, 12, 2 * group):
        for i in range(start, start + 2 * group):
            for j in range(i + 1, start + 2 * group):
                same = int(i // 2 == j // 2)
                logits = method.model(parts, torch.tensor([i]), torch.tensor([j]))[0].detach()
                smooth = torch.full((2,), 0.1)
                smooth[same] += 0.8
                losses[same].append(-(smooth * F.log_softmax(logits, dim=0)).sum().item())
                hits[same].append(int(logits.argmax()) == same)
    assert (len(losses[1]), len(losses[0])) == (6, 6 // group * 2 * group * (group - 1))
    expected = np.mean(losses[1]) / 3 + 2 * np.mean(losses[0]) / 3
    assert found["loss"].item() == pytest.approx(expected, rel=1e-5)
    assert found["accuracy"].item() == pytest.approx((np.mean(hits[0]) + np.mean(hits[1])) / 2)
    if group == 2:  # the plain mean of the official code
        assert expected == pytest.approx(np.mean(losses[0] + losses[1]))


def test_each_part_is_encoded_once_in_a_step(file):
    method = create(file, group=6)
    asked = []
    method.model.encoder.register_forward_pre_hook(lambda _, given: asked.append(given[0].shape))
    first_loss(method)
    assert [shape[0] for shape in asked] == [12]
    assert len(part_pairs(6, 2, group=6).same) == 66


def test_parts_are_whole_sides_of_the_planes_of_their_shape(file):
    method = create(file, **PLAIN)
    batch, plain = next(method.batches(0, 0)), next(iter(method.loader.epoch(0)))
    assert batch.parts.shape[:2] == (6, 2)
    for shape in range(6):
        planes = method.planes[plain.indices[shape]]
        positive = plain.points[shape] @ planes.T > 0
        sides = [plain.points[shape][side] for side in [*positive.T, *~positive.T]]
        for part, length in zip(batch.parts[shape], batch.lengths[shape].tolist(), strict=True):
            assert any(torch.equal(part[:length], side) for side in sides)
            assert 12 <= length <= 36


def test_parts_of_a_fixed_size_are_drawn_from_a_side(file):
    method = create(file, part_points=30, **PLAIN)
    batch, plain = next(method.batches(0, 0)), next(iter(method.loader.epoch(0)))
    assert batch.parts.shape == (6, 2, 30, 3)
    assert bool((batch.lengths == 30).all())
    for shape in range(6):
        points = {tuple(point) for point in plain.points[shape].tolist()}
        for part in batch.parts[shape]:
            drawn = {tuple(point) for point in part.tolist()}
            assert drawn <= points
            assert len(drawn) < 30  # 30 of at most 36 with replacement


def test_parts_of_one_shape_are_augmented_apart(file):
    method = create(file, rotation="none", jitter=0.0, stretch=False, part_points=40)
    batch, plain = next(method.batches(0, 0)), next(iter(method.loader.epoch(0)))
    factors = []
    for shape in range(6):
        for part in batch.parts[shape]:
            ratios = part[:, None] / plain.points[shape][None]
            spread = ratios.amax(dim=2) - ratios.amin(dim=2)
            factors.append(float(ratios.mean(dim=2).flatten()[spread.flatten().argmin()]))
    assert len({round(factor, 4) for factor in factors}) == 12
    assert 0.8 <= min(factors) < max(factors) <= 1.25


def test_labels_are_not_read(tmp_path):
    one, two = write(tmp_path / "a.h5"), write(tmp_path / "b.h5", labels=np.zeros(48, int))
    assert create(one).data_sha256 == create(two).data_sha256
    assert create(one).shapes.labels is None


@pytest.mark.parametrize(
    "settings",
    [{}, {"shared": False, "part_points": 20}, CLUSTERS, {"workers": 0, "parts": 3}, POSED],
)
def test_same_seed_same_bits_also_when_interrupted(file, tmp_path, settings):
    whole = create(file, epochs=2, **settings)
    fit(whole, RunFolder(tmp_path / "whole"))
    for _ in range(3):
        fit(create(file, epochs=2, **settings), RunFolder(tmp_path / "cut"), resume=True, minutes=0)
    resumed = create(file, epochs=2, **settings)
    assert fit(resumed, RunFolder(tmp_path / "cut"), resume=True).complete
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_the_seed_decides_weights_planes_and_parts(file):
    def drawn(seed):
        method = create(file, seed=seed, part_points=20)
        weights = torch.cat([p.flatten() for p in method.model.parameters()])
        return weights, method.planes, next(method.batches(0, 0)).parts

    first, again, other = drawn(0), drawn(0), drawn(1)
    for a, b, c in zip(first, again, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_the_encoder_is_saved_and_takes_whole_shapes(file, tmp_path):
    method = create(file, shared=False)
    fit(method, RunFolder(tmp_path / "run"))
    encoder = pcclust.load(tmp_path / "run")
    assert type(encoder).__name__ == "DGCNN"
    points = method.shapes.points
    assert torch.equal(encoder(points), method.model.encoder.eval()(points))
    assert encoder.card["method"] == "contrastnet"
    assert encoder.card["config"] == dataclasses.asdict(method.config)
    assert encoder.card["data"]["shapes"] == 48


@pytest.mark.parametrize("settings", [CLUSTERS, POSED])
def test_a_rotation_invariant_encoder_does_not_see_how_shapes_are_turned(file, settings):
    method = create(file, **settings)
    points = method.shapes.points
    rotation = torch.tensor([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
    turned = points @ rotation.T
    encoder = method.model.encoder.eval()
    with torch.no_grad():
        difference = (encoder(points) - encoder(turned)).abs().amax()
        assert difference < 1e-3 * encoder(points).abs().amax()


def test_shapes_that_cannot_be_cut_are_left_out_and_named(tmp_path):
    points = torch.randn(13, 48, 3, generator=torch.Generator().manual_seed(0))
    points[5] = 0.01 * points[5] + 1  # off centre: the origin is not in it
    shapes = PointDataset(points, names=[f"s{i}" for i in range(13)])
    method = ContrastNet(ContrastNetConfig(dataset="x", **SMALL), shapes)
    assert method.uncut == ["s5"]
    assert len(method.shapes) == len(method.planes) == 12
    warning = method.describe()[-1]
    assert "1 shapes, first s5, have no plane with 12 points on both sides" in warning
    planes, cuttable = cutting_planes(PointDataset(points), method.config)
    assert cuttable.tolist() == [i != 5 for i in range(13)]
    sides = (torch.einsum("npd,nqd->nqp", method.shapes.points, planes) > 0).sum(dim=2)
    assert int(sides.min()) >= 12
    assert int(sides.max()) <= 36
    with pytest.raises(ValueError, match=r"none of 13 shapes has a plane with 12 points on both"):
        ContrastNet(method.config, PointDataset(0.001 * points + 9))


def test_wrong_settings_and_data_say_what_to_do(file, tmp_path):
    for settings, message in (
        ({"batch_size": 7}, r"batch_size=7 must be a multiple of group=2"),
        ({"parts": 1}, r"parts=1 and group=2 must be at least 2"),
        ({"group": 1}, r"parts=2 and group=1 must be at least 2"),
        ({"min_fraction": 0.6}, r"min_fraction=0.6 must be above 0 and at most 0.5"),
        ({"num_planes": 0}, r"num_planes=0 must be positive"),
        ({"model_kwargs": {"k": 20}}, r"parts of 12 points are too small for DGCNN: k=20 exceeds"),
        ({"part_points": 3}, r"parts of 3 points are too small for DGCNN"),
        ({"model": "dgcn"}, r"no model 'dgcn'; did you mean 'dgcnn'"),
        ({"model_kwargs": {"kk": 20}}, r"dgcnn has no setting 'kk'"),
        ({"label_smoothing": 1.0}, r"label_smoothing=1.0 must be in"),
        ({"crop": 0.0}, r"crop=0.0 must be above 0 and at most 1"),
        ({"crop": 0.6}, r"crop=0.6 and view_points=None are for whole shapes"),
        ({"view_points": 64}, r"view_points=64 are for whole shapes"),
        ({"max_scale": 0.9}, r"max_scale=0.9 must be at least 1"),
        ({"jitter": -1.0}, r"jitter=-1.0 must not be negative"),
    ):
        with pytest.raises(ValueError, match=message):
            create(file, **settings)
    with pytest.raises(FileNotFoundError, match=r"did you mean 'modelnet10'"):
        create("modelnet1")
    with pytest.raises(ValueError, match=r"holds a single shape"):
        create(write(tmp_path / "one.h5", 1))
    unknown = write(tmp_path / "unknown.h5", up_axis=None)
    with pytest.raises(ValueError, match=r"give --up-axis x, y or z, or --rotation so3"):
        create(unknown, rotation="z")
    assert create(unknown, rotation="z", up_axis="y").shapes.up_axis == "y"


def test_batches_shrink_to_the_shapes_and_say_so(file):
    method = create(file, batch_size=50, group=5)
    assert (method.config.batch_size, method.steps_per_epoch) == (45, 1)
    assert "batches have 45 shapes and not 50: there are 48" in method.describe()
    assert len(next(method.batches(0, 0)).parts) == 45


def test_each_epoch_cuts_and_turns_parts_anew(file):
    for settings in ({}, PLAIN):  # without views: other sides of other planes
        method = create(file, **settings)
        method.loader.shuffle = False
        first, second = next(method.batches(0, 0)), next(method.batches(1, 0))
        assert not (first.lengths == second.lengths).all()
        assert first.parts.shape != second.parts.shape or not torch.equal(first.parts, second.parts)


def test_a_backbone_without_lengths_needs_parts_of_one_size(tmp_path, file, request):
    (tmp_path / "mean.py").write_text(
        "from torch import nn\n\n\nclass Mean(nn.Module):\n    out_channels = 3\n\n"
        "    def forward(self, points):\n        return points.mean(dim=1)\n"
    )
    model = f"{tmp_path / 'mean.py'}:Mean"
    request.addfinalizer(lambda: backbones._registered.pop(model, None))
    with pytest.raises(ValueError, match="takes no lengths, and parts differ in size"):
        create(file, model=model, model_kwargs={})
    method = create(file, model=model, model_kwargs={}, part_points=16)
    assert method.loss(method.model, next(method.batches(0, 0)))["loss"].isfinite()
