"""`pcclust.rri` against its definition and its guarantees, on every backend."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import pcclust
from pcclust.demo.shapes import BUNDLED
from tests.ops.reference_rri import reference_rri
from tests.ops.sample_clouds import DTYPES, KINDS, sample_cloud

pytestmark = pytest.mark.usefixtures("backend")

DEGENERATE = {
    "point at the centroid": [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 0]],
    "point near the centroid": [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [1e-9, 2e-9, 1e-9]],
    "collinear neighbours": [[1, 1, 0], [2, 2, 0], [4, 4, 0], [-1, 2, 1], [0, -3, 5], [-6, -6, -6]],
    "all equal": [[0.1, 0.2, 0.3]] * 6,
    "duplicates": [[1, 0, 0]] * 3 + [[0, 1, 0]] * 3 + [[0, 0, 1]] * 2,
    "planar grid": [[x, y, 0] for x in range(4) for y in range(3)],
    "one line": [[x, 0, 0] for x in range(6)],
    "one line beside the origin": [[x, 1, 2] for x in range(6)],
    "two points": [[1, 2, 3], [4, 5, 6]],
    "cube": [[x, y, z] for x in range(3) for y in range(3) for z in range(2)],
}
TURN = torch.tensor([[2.0, -2, 1], [1, 2, 2], [-2, -1, 2]], dtype=torch.float64) / 3


def assert_rri(points: Tensor, k: int, center: str = "centroid", atol: float = 1e-12) -> None:
    """Compares features, neighbours and successors of one float64 cloud with the definition."""
    features, neighbors, successors = reference_rri(points.numpy(), k, center)
    code = pcclust.rri_encode(points, k, center=center)
    assert code.neighbors.tolist() == neighbors.tolist()
    assert code.successors.tolist() == successors.tolist()
    np.testing.assert_allclose(code.features.numpy(), features, rtol=1e-12, atol=atol)
    assert torch.equal(pcclust.rri(points, k, center=center), code.features)


def assert_well_formed(features: Tensor) -> None:
    """All finite, angles in range, and the gaps of a point sum to 2π or, on an axis, to 0."""
    assert features.isfinite().all()
    radius, neighbor_radius, polar, gap = features.double().unbind(-1)
    assert (radius >= 0).all()
    assert (neighbor_radius >= 0).all()
    assert ((polar >= 0) & (polar <= math.pi + 1e-6)).all()
    assert ((gap >= 0) & (gap <= 2 * math.pi + 1e-6)).all()
    rounding = 4 * features.shape[-2] * torch.finfo(features.dtype).eps
    total = gap.sum(dim=-1)
    assert ((total == 0) | ((total - 2 * math.pi).abs() <= 2 * math.pi * rounding)).all()


@pytest.mark.parametrize("center", ["centroid", "origin"])
@pytest.mark.parametrize("k", [1, 2, 3, 20, 39])
def test_follows_the_definition(k: int, center: str) -> None:
    assert_rri(sample_cloud("normal", 40, dtype=torch.float64), k, center)


@pytest.mark.parametrize("kind", ["lattice", "duplicates", "line", "plane", "two_scales"])
def test_follows_the_definition_on_hard_clouds(kind: str) -> None:
    for k in (1, 6, 20):
        assert_rri(sample_cloud(kind, 30, dtype=torch.float64, seed=k), k, atol=1e-9)


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("turned", [False, True])
def test_degenerate_clouds_follow_the_definition_at_every_angle(name: str, turned: bool) -> None:
    points = torch.tensor(DEGENERATE[name], dtype=torch.float64)
    points = points - points.mean(dim=0)
    for k in {1, len(points) // 2, len(points) - 1}:
        assert_rri(points @ TURN.T if turned else points, k)
        assert_well_formed(pcclust.rri(points, k))


@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    count=st.integers(2, 60),
    wish=st.integers(1, 59),
    center=st.sampled_from(["centroid", "origin"]),
    seed=st.integers(0, 99),
)
def test_any_cloud_gives_finite_numbers_in_range(
    kind: str, dtype: torch.dtype, count: int, wish: int, center: str, seed: int
) -> None:
    points = sample_cloud(kind, count, dtype=dtype, seed=seed)
    features = pcclust.rri(points, min(wish, count - 1), center=center)
    assert features.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert_well_formed(features)


@given(
    data=st.lists(st.tuples(*[st.integers(-2, 2)] * 3), min_size=2, max_size=14),
    wish=st.integers(1, 13),
)
def test_any_small_lattice_follows_the_definition(
    data: list[tuple[int, int, int]], wish: int
) -> None:
    assert_rri(torch.tensor(data, dtype=torch.float64), min(wish, len(data) - 1))


@given(st.lists(st.tuples(*[st.floats(-2, 2, width=32)] * 3), min_size=2, max_size=12))
def test_any_coordinates_give_finite_numbers(data: list[tuple[float, float, float]]) -> None:
    for dtype in (torch.float32, torch.float64):
        assert_well_formed(pcclust.rri(torch.tensor(data, dtype=dtype), len(data) - 1))


def test_ties_follow_each_other_by_distance_then_index() -> None:
    # From (0, 0, 4), three neighbours lie to the +x side, one of them by less than the tolerance
    # off, and one lies to the +y side.
    points = torch.tensor(
        [[0, 0, 4.0], [3, 0, 4], [1, 0, 4], [2, 1e-6, 4], [0, 2.5, 4]], dtype=torch.float64
    )
    code = pcclust.rri_encode(points, 4, center="origin")
    assert code.neighbors[0].tolist() == [2, 3, 4, 1]
    assert code.successors[0].tolist() == [1, 3, 0, 2]
    gaps = code.features[0, :, 3]
    torch.testing.assert_close(gaps, torch.tensor([0, 0, 1.5, 0.5]).double() * math.pi)
    split = points.clone()
    split[3, 1] = 4e-6  # twice the tolerance: a direction of its own
    gaps = pcclust.rri(split, 4, center="origin")[0, :, 3]
    torch.testing.assert_close(gaps[1].item(), math.pi / 2 - 2e-6)


def test_a_tie_may_lie_across_the_seam_of_the_azimuth() -> None:
    # The farthest neighbour from the axis is the reference, at azimuth 0; the tied one is just
    # below 2π.
    points = torch.tensor([[0, 0, 4.0], [3, 0, 4], [1, -1e-7, 4], [-1, -1, 4]]).double()
    code = pcclust.rri_encode(points, 3, center="origin")
    assert code.neighbors[0].tolist() == [2, 3, 1]
    assert code.successors[0].tolist() == [2, 0, 1]
    gaps = code.features[0, :, 3]
    torch.testing.assert_close(
        gaps, torch.tensor([0, 0.75, 1.25]).double() * math.pi, atol=2e-7, rtol=0
    )


@pytest.mark.parametrize(
    ("near", "far"), [((6, -380), (7, 130)), ((5, -341), (7, 300)), ((4, -329), (12, 1147))]
)
def test_rounding_does_not_part_equal_azimuths_near_the_axis(
    near: tuple[int, int], far: tuple[int, int]
) -> None:
    # All coordinates are whole numbers: the first two neighbours have one azimuth exactly, which
    # float32 turns by more than the tolerance.
    axis, along, aside = torch.tensor([[3.0, 5, 7], [1, -2, 1], [19, 4, -11]])
    edges = [away * along + height * axis for away, height in (near, far, (-9, 0))]
    points = 1000 * axis + torch.stack([0 * axis, *edges, 2 * aside + 10 * axis])
    gaps = pcclust.rri(points, 4, center="origin")[0, :, 3]
    expected = torch.tensor([0, 0.5, 0.5, 1]) * math.pi
    torch.testing.assert_close(gaps.sort().values, expected, rtol=0, atol=2e-6)
    exact = pcclust.rri(points.double(), 4, center="origin")[0, :, 3]
    torch.testing.assert_close(gaps, exact.float(), rtol=0, atol=2e-6)


def test_rotation_changes_nothing_and_reflection_the_gaps() -> None:
    points = sample_cloud("normal", 300, dtype=torch.float64)
    upright = pcclust.rri(points, 20)
    torch.testing.assert_close(pcclust.rri(points @ TURN.T, 20), upright, rtol=0, atol=1e-11)
    mirrored = pcclust.rri(points * torch.tensor([1, 1, -1.0]), 20)
    torch.testing.assert_close(mirrored[..., :3], upright[..., :3])
    assert ((mirrored[..., 3] - upright[..., 3]).abs() > 1e-6).double().mean() > 0.99


def test_centroid_makes_translation_harmless_and_origin_does_not() -> None:
    points = sample_cloud("normal", 100, dtype=torch.float64)
    moved = points + torch.tensor([3.0, -2, 5])
    torch.testing.assert_close(pcclust.rri(moved, 8), pcclust.rri(points, 8), rtol=0, atol=1e-11)
    centred = points - points.mean(dim=0)
    torch.testing.assert_close(pcclust.rri(centred, 8, center="origin"), pcclust.rri(points, 8))
    assert not torch.allclose(pcclust.rri(moved, 8, center="origin"), pcclust.rri(points, 8))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_agree_to_rounding(dtype: torch.dtype) -> None:
    points = sample_cloud("normal", 200, dtype=dtype)
    exact = pcclust.rri_encode(points.double(), 12)
    found = pcclust.rri_encode(points, 12)
    same = (found.successors == exact.successors).all(dim=-1)
    same &= (found.neighbors == exact.neighbors).all(dim=-1)
    assert same.double().mean() > 0.97
    assert (found.features.double() - exact.features)[same].abs().max() < 1e-4


# What the docstring of `rri` says: r_i and r_ik in radii, θ and φ in radians.
DOCUMENTED = {
    torch.float32: (1.2e-7, 1.2e-7, 1.7e-6, 2.7e-5),
    torch.float64: (1.2e-16, 1.2e-16, 1.8e-15, 1.4e-13),
}


@pytest.mark.parametrize("dtype", DOCUMENTED)
@pytest.mark.parametrize("shape", ["chair2", "horse2", "tatami"])
def test_backends_agree_as_documented(shape: str, dtype: torch.dtype) -> None:
    cloud = torch.from_numpy(pcclust.read_points(BUNDLED / f"meshes/{shape}.obj")).to(dtype)
    cloud -= cloud.mean(dim=0)
    cloud /= cloud.norm(dim=1).max()
    found = pcclust.rri(cloud, 20)
    with pcclust.use_backend("torch"):
        change = (found - pcclust.rri(cloud, 20)).abs()
    assert (change.amax(dim=(0, 1)) <= torch.tensor(DOCUMENTED[dtype], dtype=dtype)).all()


@pytest.mark.parametrize("kind", ["normal", "lattice", "duplicates"])
@pytest.mark.parametrize("encode", [pcclust.rri_encode, lambda *a, **b: (pcclust.rri(*a, **b),)])
def test_all_layouts_agree(kind: str, encode) -> None:
    sizes = [40, 25, 60]
    clouds = [sample_cloud(kind, n, seed=n) for n in sizes]
    alone = [encode(cloud, 7) for cloud in clouds]
    padded = torch.full((3, 60, 3), torch.nan)
    for b, cloud in enumerate(clouds):
        padded[b, : len(cloud)] = cloud
    for part, one in enumerate(zip(*alone, strict=True)):
        found = encode(padded, 7, lengths=torch.tensor(sizes))[part]
        packed = encode(torch.cat(clouds), 7, offsets=torch.tensor([0, 40, 65, 125]))[part]
        dense = encode(torch.stack([clouds[0]] * 2), 7)[part]
        torch.testing.assert_close(dense, torch.stack([one[0]] * 2))
        shift = torch.tensor([0, 40, 65]) if part == 1 else torch.zeros(3, dtype=torch.long)
        for b, (n, first) in enumerate(zip(sizes, (0, 40, 65), strict=True)):
            torch.testing.assert_close(found[b, :n], one[b])
            torch.testing.assert_close(packed[first : first + n], one[b] + shift[b])
            assert (found[b, n:] == (0 if part == 0 else -1)).all()


def test_numpy_in_numpy_out() -> None:
    points = sample_cloud("normal", 30)
    code = pcclust.rri_encode(points.numpy(), 5)
    assert all(isinstance(part, np.ndarray) for part in code)
    assert np.array_equal(pcclust.rri(points.numpy(), 5), pcclust.rri(points, 5).numpy())


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((torch.rand(9, 2), 3), {}, ValueError, "3 dimensions, got 2"),
        ((torch.rand(9, 3), 9), {}, ValueError, "k=9 exceeds the 8"),
        ((torch.rand(1, 3), 1), {}, ValueError, "k=1 exceeds the 0"),
        ((torch.rand(9, 3), 0), {}, ValueError, "k=0 must be at least 1"),
        ((torch.rand(9, 3), 2.0), {}, TypeError, "k must be an int"),
        ((torch.ones(9, 3) * torch.nan, 2), {}, ValueError, r"points\[0\] is not finite"),
        ((torch.ones(9, 3).int(), 2), {}, TypeError, "int32"),
        ((torch.rand(9, 3), 2), {"center": "mean"}, ValueError, "center='mean'"),
        (
            (torch.rand(2, 9, 3), 4),
            {"lengths": torch.tensor([9, 4])},
            ValueError,
            "k=4 exceeds the 3 .* cloud 1",
        ),
    ],
)
def test_wrong_input_is_refused_by_name(arguments, options, error, message) -> None:
    for function in (pcclust.rri, pcclust.rri_encode):
        with pytest.raises(error, match=message):
            function(*arguments, **options)
