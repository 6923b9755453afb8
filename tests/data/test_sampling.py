import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from pcclust.data import resample, sample_surface


def strip_of_triangles(areas):
    """Right triangles of the given areas side by side in the plane z = 0, one unit apart in y."""
    vertices, faces = [], []
    for row, area in enumerate(areas):
        vertices += [(0, 2 * row, 0), (2 * area, 2 * row, 0), (0, 2 * row + 1, 0)]
        faces.append((3 * row, 3 * row + 1, 3 * row + 2))
    return trimesh.Trimesh(vertices, faces, process=False)


def test_points_are_drawn_in_proportion_to_area():
    areas = np.array([1.0, 3.0, 0.5, 10.0])
    count = 40_000
    points = sample_surface(strip_of_triangles(areas), count, seed=3)
    found = np.bincount((points[:, 1] // 2).astype(int), minlength=4)
    fraction = areas / areas.sum()
    assert (abs(found - count * fraction) < 5 * np.sqrt(count * fraction * (1 - fraction))).all()


def test_points_are_uniform_within_a_triangle():
    points = sample_surface(strip_of_triangles([0.5]), 40_000, seed=1)
    # The mean is the centre of gravity, and half of the area lies where x + y < 1/sqrt(2).
    np.testing.assert_allclose(points.mean(axis=0), [1 / 3, 1 / 3, 0], atol=0.01)
    assert np.mean(points[:, 0] + points[:, 1] < 2**-0.5) == pytest.approx(0.5, abs=0.015)
    assert points[:, :2].min() >= 0
    assert (points[:, 0] + points[:, 1]).max() <= 1 + 1e-12


def test_seed_decides_the_points():
    mesh = trimesh.creation.box()
    np.testing.assert_array_equal(sample_surface(mesh, 50, 7), sample_surface(mesh, 50, 7))
    assert (sample_surface(mesh, 50, 7) != sample_surface(mesh, 50, 8)).any()


@pytest.mark.parametrize(
    "triangle",
    [
        np.zeros((3, 3)),
        np.array([[0.1, 0.1, 0.1], [0.2, 0.2, 0.2], [0.3, 0.3, 0.3]]),
        np.array([[0, 0, 0], [1e9, 1e9, 1e9], [3e9, 3e9, 3e9]]),
    ],
)
def test_surface_without_area_is_refused(triangle):
    with pytest.raises(ValueError, match="1 faces has no area"):
        sample_surface(trimesh.Trimesh(triangle, [[0, 1, 2]], process=False), 10)


def test_tiny_and_huge_surfaces():
    box = trimesh.creation.box()
    for scale in (1e-30, 1e30):
        points = sample_surface(
            trimesh.Trimesh(box.vertices * scale, box.faces, process=False), 100
        )
        assert abs(points).max() == pytest.approx(scale / 2)
    with pytest.raises(ValueError, match="too large"):
        sample_surface(trimesh.Trimesh(box.vertices * 1e200, box.faces, process=False), 10)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(1, 100), st.integers(0, 5))
def test_resample_repeats_only_where_it_must(count, wanted, seed):
    points = np.arange(3.0 * count).reshape(count, 3)
    drawn = resample(points, wanted, seed)
    assert drawn.shape == (wanted, 3)
    rows = drawn[:, 0] / 3
    assert set(rows) <= set(range(count))
    assert len(set(rows)) == min(count, wanted)
    if wanted >= count:
        np.testing.assert_array_equal(drawn[:count], points)
    np.testing.assert_array_equal(drawn, resample(points, wanted, seed))


def test_every_point_is_as_likely():
    points = np.arange(30.0).reshape(10, 3)
    found = np.concatenate([resample(points, 4, seed)[:, 0] / 3 for seed in range(2000)])
    fraction = np.bincount(found.astype(int), minlength=10) / 2000
    np.testing.assert_allclose(fraction, 0.4, atol=5 * np.sqrt(0.24 / 2000))
