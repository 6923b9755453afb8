"""CanonicalPose: turns change nothing, whatever the backbone and the cloud."""

import pytest
import torch
from torch import nn

from pcclust.data.rotations import random_rotations
from pcclust.nn import CanonicalPose, ClusterNet, PointNet, create_backbone
from pcclust.nn.canonical_pose import pose_weights, principal_axes


class Asymmetric(nn.Module):
    """A smooth function of the pose that no symmetry of the axes leaves as it is."""

    out_channels = 4

    def forward(self, points, lengths=None):
        powers = torch.tensor([[1, 0, 0], [2, 1, 0], [1, 1, 1], [3, 2, 4]]).to(points)
        terms = (points[..., None, :] + 0.3).abs().pow(powers).prod(dim=-1)
        if lengths is None:
            return terms.mean(dim=1)
        inside = torch.arange(points.shape[1]) < lengths[:, None]
        return (terms * inside[..., None]).sum(dim=1) / lengths[:, None]


def boxes(*sides, count=200, seed=0):
    """Clouds in boxes of these sides, mirrored so that the variances go exactly with the sides."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count // 8, 3, generator=generator, dtype=torch.float64)
    corner = corner / corner.square().mean(dim=0).sqrt()
    mirrors = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * 3)
    cloud = (corner * mirrors[:, None]).flatten(0, 1)
    return torch.stack([cloud * torch.tensor(side).double() for side in sides])


def random_clouds(count=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scale = torch.rand(count, 1, 3, generator=generator, dtype=torch.float64) + 0.2
    return scale * torch.randn(count, 60, 3, generator=generator, dtype=torch.float64).exp()


def turned(clouds, seed=1):
    generator = torch.Generator().manual_seed(seed)
    rotations = random_rotations(len(clouds), generator=generator).double()
    return clouds @ rotations.mT + torch.randn(len(clouds), 1, 3, generator=generator).double()


def averaged_by_hand(backbone, cloud, softness):
    """The mean over all 48 signed orders of the axes that are rotations, one by one."""
    centred = cloud - cloud.mean(dim=0)
    values, vectors = torch.linalg.eigh(centred.T @ centred)
    total, weights = 0, 0.0
    for code in range(6 * 8):
        first, second = code % 3, (code // 3 % 2 + code % 3 + 1) % 3
        order = [first, second, 3 - first - second]
        signs = torch.tensor([1.0 - 2 * (code // 6 >> bit & 1) for bit in range(3)]).double()
        turn = vectors[:, order] * signs
        if torch.linalg.det(turn) < 0:
            continue
        weight = 1.0
        for i, j in ((0, 1), (0, 2), (1, 2)):
            small, large = (float(values[order[k]]) for k in (i, j))
            if small < large:
                weight *= max(0.0, 1 - (large - small) / (large + small) / softness)
        total = total + weight * backbone((centred @ turn)[None])[0]
        weights += weight
    return total / weights


@pytest.mark.parametrize("softness", [0.01, 0.5, 2.0])
def test_it_is_the_weighted_mean_over_the_poses(softness):
    clouds = random_clouds()
    found = CanonicalPose(Asymmetric(), softness).eval()(clouds)
    expected = [averaged_by_hand(Asymmetric(), cloud, softness) for cloud in clouds]
    torch.testing.assert_close(found, torch.stack(expected))


def test_no_turn_nor_shift_changes_it():
    clouds = random_clouds(20)
    model = CanonicalPose(Asymmetric()).eval()
    torch.testing.assert_close(model(turned(clouds)), model(clouds), atol=1e-6, rtol=1e-4)
    assert not torch.allclose(Asymmetric()(turned(clouds)), Asymmetric()(clouds))


def test_a_mirrored_cloud_is_another_cloud():
    clouds = random_clouds()
    model = CanonicalPose(Asymmetric()).eval()
    mirrored = clouds * torch.tensor([-1.0, 1.0, 1.0]).double()
    assert not torch.allclose(model(mirrored), model(clouds))


@pytest.mark.parametrize("backbone", [PointNet, ClusterNet])
def test_networks_in_float32(backbone):
    torch.manual_seed(0)
    model = CanonicalPose(backbone()).eval()
    clouds = torch.randn(2, 150, 3) * torch.tensor([1.0, 0.7, 0.4])
    with torch.no_grad():
        expected, found = model(clouds), model(turned(clouds.double()).float())
    assert expected.shape == (2, model.out_channels)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("pair", [(0, 1), (1, 2)])
def test_it_does_not_jump_where_axes_change_places(pair):
    before, after = [2.0, 1.0, 0.5], [2.0, 1.0, 0.5]
    middle = 1.5 if pair == (0, 1) else 0.75
    for sides, change in ((before, 1e-6), (after, -1e-6)):
        sides[pair[0]], sides[pair[1]] = middle + change, middle - change
    clouds = boxes(before, after)
    soft = CanonicalPose(Asymmetric()).eval()(clouds)
    torch.testing.assert_close(soft[0], soft[1], atol=1e-4, rtol=1e-4)
    hard = CanonicalPose(Asymmetric(), softness=1e-9).eval()(clouds)
    assert float((hard[0] - hard[1]).abs().max()) > 0.01


def test_the_output_follows_a_shape_on_its_whole_way():
    sides = [[1.0, 1.101 - 0.002 * step, 0.6] for step in range(100)]
    found = CanonicalPose(Asymmetric()).eval()(boxes(*sides))
    steps = found.diff(dim=0).abs().amax(dim=1)
    assert float(steps.max()) < 0.1 * float((found[0] - found[-1]).abs().max() + found.std())


def test_how_many_poses_and_their_weights():
    variances = torch.tensor([[4.0, 2.0, 1.0], [2.0, 2.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
    weights = pose_weights(variances.double(), 0.1)
    assert (weights > 0).sum(dim=1).tolist() == [4, 8, 24, 24]
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4).double())
    close = pose_weights(torch.tensor([[1.05, 0.95, 0.1]]).double(), 0.1)
    torch.testing.assert_close(close[close > 0].unique() * 4, torch.tensor([1 / 3, 2 / 3]).double())


@pytest.mark.parametrize("kept", [2, 1, 0])
def test_planes_lines_and_a_single_point(kept):
    clouds = random_clouds(4)
    clouds[..., kept:] = 0
    model = CanonicalPose(Asymmetric()).eval()
    torch.testing.assert_close(model(turned(clouds)), model(clouds), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("lengths", [None, torch.tensor([60, 50, 40, 30, 20, 10])])
def test_size_takes_units_away(lengths):
    clouds = random_clouds()
    model = CanonicalPose(Asymmetric(), size=0.6).eval()
    expected = model(clouds, lengths=lengths)
    torch.testing.assert_close(model(7 * clouds, lengths=lengths), expected)
    alone = clouds[:1] - clouds[:1].mean(dim=1)
    scaled = 0.6 * alone / alone.square().sum(dim=2).mean().sqrt()
    torch.testing.assert_close(CanonicalPose(Asymmetric()).eval()(scaled)[0], expected[0])
    assert model(torch.ones(1, 5, 3).double()).isfinite().all()


def test_a_backbone_can_be_named():
    model = create_backbone("canonical-pose", backbone="pointnet", model_kwargs={"embedding": 32})
    assert isinstance(model.backbone, PointNet)
    assert model.out_channels == 32
    with pytest.raises(ValueError, match=r"model_kwargs=.* are for a backbone that is named"):
        CanonicalPose(PointNet(), model_kwargs={"embedding": 32})


def test_padding_takes_no_part():
    clouds = random_clouds()
    lengths = torch.tensor([60, 50, 40, 30, 20, 10])
    padded = clouds.clone()
    for row, length in enumerate(lengths.tolist()):
        padded[row, length:] = 7.0
    model = CanonicalPose(Asymmetric()).eval()
    found = model(padded, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(found[row], model(clouds[row : row + 1, :length])[0])


def test_the_order_of_points_and_the_other_clouds_do_not_matter():
    clouds = random_clouds()
    model = CanonicalPose(Asymmetric()).eval()
    expected = model(clouds)
    torch.testing.assert_close(model(clouds.flip(1)), expected)
    torch.testing.assert_close(model(clouds[2:3])[0], expected[2])


def test_training_draws_poses_by_their_weights():
    cloud = boxes([1.0, 0.97, 0.5])
    model = CanonicalPose(Asymmetric()).train()
    torch.manual_seed(0)
    drawn = model(cloud.expand(4000, -1, -1)).mean(dim=0)
    torch.testing.assert_close(drawn, model.eval()(cloud)[0], atol=0.02, rtol=0.02)
    torch.manual_seed(1)
    first = model.train()(cloud)
    torch.manual_seed(1)
    torch.testing.assert_close(model(cloud), first, rtol=0, atol=0)


def test_gradients_reach_points_and_weights():
    clouds = random_clouds(1)[:, :8].requires_grad_()
    model = CanonicalPose(Asymmetric(), softness=1e-3).eval()
    assert torch.autograd.gradcheck(model, (clouds,))
    network = CanonicalPose(PointNet()).train()
    network(torch.randn(4, 50, 3)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("sides", [(1.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0,) * 3])
def test_gradients_are_finite_where_variances_are_equal(sides):
    clouds = boxes(list(sides)).requires_grad_()
    CanonicalPose(Asymmetric()).eval()(clouds).sum().backward()
    assert clouds.grad.isfinite().all()


def test_axes_are_a_rotation():
    _, axes, variances = principal_axes(random_clouds(50))
    torch.testing.assert_close(axes.mT @ axes, torch.eye(3).double().expand(50, 3, 3))
    torch.testing.assert_close(torch.linalg.det(axes), torch.ones(50).double())
    assert (variances.diff(dim=1) <= 0).all()


@pytest.mark.parametrize(
    ("points", "error", "match"),
    [
        (torch.rand(5, 3), ValueError, r"points must be \(B, N, 3\), got \(5, 3\)"),
        (torch.full((1, 5, 3), torch.nan), ValueError, "not finite"),
        (torch.ones(1, 5, 3).long(), TypeError, "float"),
    ],
)
def test_it_refuses(points, error, match):
    with pytest.raises(error, match=match):
        CanonicalPose(Asymmetric())(points)


@pytest.mark.parametrize("name", ["softness", "size"])
def test_it_refuses_settings_of_zero(name):
    with pytest.raises(ValueError, match=f"{name}=0"):
        CanonicalPose(Asymmetric(), **{name: 0})
