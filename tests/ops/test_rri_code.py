"""`rri_decode` gives back what `rri_encode` was given, up to one proper rotation."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist

import pcclust
from tests.ops.sample_clouds import sample_cloud
from tests.ops.test_rri import DEGENERATE


def error_after_rotation(found: np.ndarray, points: np.ndarray) -> float:
    """RMS distance to the centred points after the best proper rotation, per radius."""
    points = points.astype(np.float64) - points[0]  # so that equal points are 0 exactly
    points -= points.mean(axis=0)
    u, _, vt = np.linalg.svd(points.T @ found.astype(np.float64))
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    radius = np.linalg.norm(points, axis=1).max()
    difference = found @ (u @ vt).T - points
    return float(np.sqrt((difference**2).sum(axis=1).mean()) / (radius or 1.0))


def assert_lossless(points: np.ndarray, k: int, limit: float = 1e-9) -> None:
    assert error_after_rotation(pcclust.rri_decode(pcclust.rri_encode(points, k)), points) <= limit


@pytest.mark.parametrize("k", [5, 8, 20, 99])
def test_random_clouds(k: int) -> None:
    for seed in range(3):
        assert_lossless(sample_cloud("normal", 100, dtype=torch.float64, seed=seed).numpy(), k)


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_clouds(name: str) -> None:
    points = np.array(DEGENERATE[name], dtype=np.float64)
    assert_lossless(points, len(points) - 1)


@pytest.mark.parametrize("kind", ["lattice", "plane", "far_away", "two_scales"])
def test_structured_clouds(kind: str) -> None:
    points = sample_cloud(kind, 125, dtype=torch.float64).numpy()
    assert_lossless(points, 60, limit=1e-9)


@pytest.mark.parametrize("exponent", [-1000, -664, -300, 300, 664, 1000])
def test_any_magnitude_is_decoded_like_the_cloud_near_one(exponent: int) -> None:
    points = sample_cloud("normal", 60, dtype=torch.float64).numpy()
    expected = pcclust.rri_decode(pcclust.rri_encode(points, 10))
    found = pcclust.rri_decode(pcclust.rri_encode(np.ldexp(points, exponent), 10))
    np.testing.assert_allclose(np.ldexp(found, -exponent), expected, rtol=0, atol=1e-9)


def test_handedness_is_kept() -> None:
    points = sample_cloud("normal", 60, dtype=torch.float64).numpy()
    decoded = pcclust.rri_decode(pcclust.rri_encode(points, 10))
    assert error_after_rotation(decoded * [1, 1, -1], points) > 0.1


def test_nearly_tied_azimuths_cost_no_precision() -> None:
    points = sample_cloud("normal", 80, dtype=torch.float64, seed=3).numpy()
    points -= points.mean(axis=0)
    near = points[:40] * 0.97
    # Each copy lies so near the plane through the axis and a neighbour that it ties with it.
    points = np.concatenate([points, near + 1e-8 * np.roll(near, 1, axis=0)])
    code = pcclust.rri_encode(points, 12, center="origin")
    assert ((code.features[..., 3] == 0) & (code.successors >= 0)).mean() > 0.1
    decoded = pcclust.rri_decode(code)
    np.testing.assert_allclose(pdist(decoded), pdist(points), rtol=0, atol=1e-12)


@given(
    data=st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=2, max_size=20, unique=True),
    seed=st.integers(0, 99),
)
def test_complete_graphs_of_lattice_points(data: list[tuple[int, int, int]], seed: int) -> None:
    assert_lossless(np.array(data, dtype=np.float64), len(data) - 1, limit=1e-7)


def test_float32_and_half_codes_are_lossless_to_their_precision() -> None:
    points = sample_cloud("normal", 100)
    decoded = pcclust.rri_decode(pcclust.rri_encode(points, 10))
    assert decoded.dtype == torch.float32
    assert error_after_rotation(decoded.numpy(), points.numpy()) < 1e-5


def test_every_layout_decodes_like_its_clouds() -> None:
    clouds = [sample_cloud("normal", n, dtype=torch.float64, seed=n) for n in (30, 20)]
    alone = [pcclust.rri_decode(pcclust.rri_encode(cloud, 8)) for cloud in clouds]
    offsets, lengths = torch.tensor([0, 30, 50]), torch.tensor([30, 20])
    packed = pcclust.rri_encode(torch.cat(clouds), 8, offsets=offsets)
    assert torch.equal(pcclust.rri_decode(packed, offsets=offsets), torch.cat(alone))
    padded = torch.nn.utils.rnn.pad_sequence(clouds, batch_first=True, padding_value=torch.nan)
    decoded = pcclust.rri_decode(pcclust.rri_encode(padded, 8, lengths=lengths), lengths=lengths)
    assert torch.equal(decoded[0], alone[0])
    assert torch.equal(decoded[1, :20], alone[1])
    assert (decoded[1, 20:] == 0).all()
    dense = pcclust.rri_encode(torch.stack([clouds[0]] * 2), 8)
    assert torch.equal(pcclust.rri_decode(dense), torch.stack([alone[0]] * 2))


def test_what_is_not_determined_is_an_error_that_counts() -> None:
    points = sample_cloud("normal", 90, dtype=torch.float64).reshape(3, 30, 3)
    apart = (points + 50 * torch.eye(3)[:, None]).reshape(90, 3)
    with pytest.raises(ValueError, match=r"cloud 0 .* \(k=5\) is not connected but has 3 comp"):
        pcclust.rri_decode(pcclust.rri_encode(apart, 5))


def test_a_chain_of_hinges_is_not_determined() -> None:
    # Each point is linked to the one before only: the next may turn about the direction of each.
    points = torch.tensor([[2.0**j, 1, 0] for j in range(8)])
    code = pcclust.rri_encode(points, 1, center="origin")
    assert code.neighbors.flatten().tolist() == [1, 0, 1, 2, 3, 4, 5, 6]
    with pytest.raises(ValueError, match=r"graph \(k=1\) is connected, but 6 of its 8 points"):
        pcclust.rri_decode(code)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c._replace(features=c.features[..., :3]), "must be (N, k, 4)"),
        (lambda c: c._replace(features=c.features * torch.nan), "features[0] is not finite"),
        (lambda c: c._replace(neighbors=c.neighbors[:, :2]), "neighbors must be integers of shape"),
        (lambda c: c._replace(neighbors=c.neighbors + 30), "is not between 0 and 29"),
        (lambda c: c._replace(successors=c.successors + 1), "is not between -1 and 5"),
        (lambda c: c._replace(successors=c.successors * 0), "is not one cycle"),
        (lambda c: c._replace(successors=c.successors.double()), "successors must be integers"),
    ],
)
def test_damaged_codes_are_refused(damage, message: str) -> None:
    code = pcclust.rri_encode(sample_cloud("normal", 30), 6)
    with pytest.raises(ValueError, match=re.escape(message)):
        pcclust.rri_decode(damage(code))


def lossless_errors(shapes: np.ndarray) -> list[float]:
    """Errors of the shapes whose kNN graph is connected; asserts that the others are refused."""
    errors = []
    for points in shapes.astype(np.float64):
        code = pcclust.rri_encode(points, 20)
        ends = (np.ones(code.neighbors.size), code.neighbors.ravel(), np.arange(1025) * 20)
        parts = connected_components(csr_array(ends, shape=(1024, 1024)), directed=False)[0]
        if parts == 1:
            errors.append(error_after_rotation(pcclust.rri_decode(code), points))
        else:
            with pytest.raises(ValueError, match=f"not connected but has {parts} components"):
                pcclust.rri_decode(code)
    return errors


def test_real_shapes_come_back_exactly(modelnet40: np.ndarray) -> None:
    errors = lossless_errors(modelnet40[::20])
    assert len(errors) >= 8
    assert max(errors) <= 1e-9


@pytest.mark.slow
def test_all_200_real_shapes_come_back_exactly(modelnet40: np.ndarray) -> None:
    errors = lossless_errors(modelnet40)
    print(f"largest RMS {max(errors):.1e} of the radius in {len(errors)} connected shapes")
    # A point nearer to the centre than the tolerance (one shape has one) comes back in it.
    assert max(errors) <= 1e-8
