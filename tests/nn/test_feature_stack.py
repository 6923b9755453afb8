"""`FeatureStack`: what its parts say, evened out by what `fit` has seen."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

import pcclust
from pcclust.nn import FeatureStack, PointNet, RRIStatistics, weights_source
from pcclust.nn.rri_statistics import rri_statistics
from pcclust.nn.weights import read_card, save_weights
from tests.nn.example_clouds import objects


class Moments(nn.Module):
    """Two channels of unlike size and one that is constant."""

    out_channels = 3

    def forward(self, points, *, lengths=None):
        size = points.square().sum(dim=(1, 2))
        return torch.stack([size, 1000 * size.sqrt() + 5, torch.full_like(size, 7)], dim=1)


def test_unfitted_it_is_what_the_parts_say():
    points = objects(5, 60)
    stack = FeatureStack([Moments(), RRIStatistics()])
    assert stack.widths == (3, 300)
    expected = torch.cat([Moments()(points), rri_statistics(points)], dim=1)
    assert torch.equal(stack(points), expected)


def test_fitted_every_part_has_the_same_variance():
    points = objects(40, 60)
    stack = FeatureStack([Moments(), "rri-statistics"])
    stack.fit(stack(points))
    found = stack(points).double()
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(303).double(), atol=1e-5, rtol=0)
    variances = found.var(dim=0, correction=0)
    torch.testing.assert_close(variances[:2], torch.full((2,), 1 / 3).double(), atol=1e-3, rtol=0)
    assert variances[2] == 0
    torch.testing.assert_close(variances[3:].max(), torch.tensor(1 / 300).double())


def test_fitting_again_changes_nothing():
    points = objects(40, 60)
    stack = FeatureStack([Moments(), RRIStatistics()])
    stack.fit(stack(points))
    expected = stack(points)
    stack.fit(expected)
    torch.testing.assert_close(stack(points), expected, atol=1e-3, rtol=1e-3)


def test_parts_are_built_by_name():
    stack = FeatureStack(
        [{"model": "pointnet", "model_kwargs": {"embedding": 16}}, "rri-statistics"]
    )
    assert isinstance(stack.parts[0], PointNet)
    assert stack.out_channels == 16 + 300


@pytest.mark.parametrize(
    ("features", "match"),
    [
        (torch.rand(4, 5), r"must be \(N, 303\) with N >= 2, got \(4, 5\)"),
        (torch.rand(1, 303), "N >= 2"),
        (torch.full((4, 303), torch.nan), "NaN or inf"),
        (torch.cat([torch.rand(4, 3), torch.ones(4, 300)], dim=1), "part 1 are the same"),
    ],
)
def test_fit_refuses(features, match):
    with pytest.raises(ValueError, match=match):
        FeatureStack([Moments(), RRIStatistics()]).fit(features)


def test_it_refuses_no_parts_and_unknown_ones():
    with pytest.raises(ValueError, match="at least one part"):
        FeatureStack([])
    with pytest.raises(ValueError, match="'pointnett' is none of"):
        FeatureStack(["pointnett"])


SMALL = {"model": "pointnet", "model_kwargs": {"embedding": 8}}
NAME = "pointnet-contrastnet-cups"


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A folder of weights that come with pcclust, with those of one small encoder."""
    torch.manual_seed(0)
    card = SMALL | {"class_names": []}
    save_weights(tmp_path / f"{NAME}.safetensors", PointNet(embedding=8), card)
    monkeypatch.setattr(weights_source, "SHIPPED", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("shipped")
def test_a_part_that_comes_with_pcclust_is_neither_trained_nor_saved():
    stack = FeatureStack([SMALL, {"weights": NAME}])
    part = stack.parts[1]
    assert not any(parameter.requires_grad for parameter in part.parameters())
    assert all(parameter.requires_grad for parameter in stack.parts[0].parameters())
    assert stack.train().training
    assert (stack.parts[0].training, part.training) == (True, False)
    own = {f"parts.0.{name}" for name in stack.parts[0].state_dict()} | {"mean", "scale"}
    assert stack.state_dict().keys() == own
    assert nn.Sequential(stack).state_dict().keys() == {f"0.{name}" for name in own}


@pytest.mark.usefixtures("shipped")
def test_a_copy_loads_its_state_and_has_the_part_as_it_is():
    torch.manual_seed(1)
    points = objects(4, 60)
    first, second = (FeatureStack([SMALL, {"weights": NAME}]).eval() for _ in range(2))
    assert not torch.equal(first(points), second(points))
    copied = copy.deepcopy(second)
    for other in (second, copied):
        state = first.state_dict()
        other.load_state_dict(state)
        assert len(state) == len(first.state_dict())
        assert torch.equal(first(points), other(points))
    assert torch.equal(first(points)[:, 8:], pcclust.load(NAME)(points))


def test_saved_it_names_the_weights_of_its_parts(shipped, tmp_path):
    digest = read_card(NAME)["sha256"]
    parts = [{"weights": NAME, "sha256": digest}, "rri-statistics"]
    stack, points = FeatureStack(parts).eval(), objects(9, 60)
    stack.fit(stack(points))
    card = {"model": "feature-stack", "model_kwargs": {"parts": parts}, "class_names": []}
    path, _ = save_weights(tmp_path / "stack.safetensors", stack, card, dtype=torch.float16)
    assert path.stat().st_size < (shipped / f"{NAME}.safetensors").stat().st_size
    torch.testing.assert_close(pcclust.load(path)(points), stack(points))
    torch.manual_seed(2)
    save_weights(
        shipped / f"{NAME}.safetensors", PointNet(embedding=8), SMALL | {"class_names": []}
    )
    with pytest.raises(ValueError, match="of this copy of pcclust have SHA-256"):
        pcclust.load(path)


def test_loading_it_reads_each_part_once(shipped, tmp_path, monkeypatch):
    parts = [{"weights": NAME}, "rri-statistics"]
    card = {"model": "feature-stack", "model_kwargs": {"parts": parts}, "class_names": []}
    path, _ = save_weights(tmp_path / "stack.safetensors", FeatureStack(parts), card)
    read, as_it_is = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda file: read.append(file) or as_it_is(file))
    stack = pcclust.load(path)
    assert read.count(shipped / f"{NAME}.safetensors") == 1
    assert all(value.device.type == "cpu" for value in stack.parts.state_dict().values())


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("name", ["hf://someone/else", "runs/mine", "pointnet"])
def test_other_weights_are_not_read_for_a_part(name):
    with pytest.raises(ValueError, match=f"come with pcclust .{NAME}., and '{name}' are none"):
        FeatureStack([{"weights": name}])
