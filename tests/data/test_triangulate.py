"""Polygons cut into triangles: they cover the polygon once, whatever its shape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcclust.data.triangulate import triangulate


def doubled_area(ring):
    following = np.roll(ring, -1, axis=0)
    return (ring[:, 0] * following[:, 1] - ring[:, 1] * following[:, 0]).sum()


def winding(ring, points):
    """How often a ring goes around each point, by adding the angles it is seen under."""
    seen = ring[None] - points[:, None]
    angle = np.arctan2(seen[..., 1], seen[..., 0])
    turn = np.diff(np.concatenate([angle, angle[:, :1]], axis=1), axis=1)
    return np.round(((turn + np.pi) % (2 * np.pi) - np.pi).sum(axis=1) / (2 * np.pi))


def check_cover(ring, turn=None):
    """Random points are in exactly one triangle where the ring goes around them, else in none."""
    ring = np.asarray(ring, dtype=np.float64)
    size = len(ring)
    turn = np.eye(3) if turn is None else turn
    flat = np.column_stack([ring, np.zeros(size)])
    triangles = triangulate(flat @ turn.T + [5, -3, 1], np.arange(size), np.array([size]))
    assert triangles.shape == (size - 2, 3)
    sign = np.sign(doubled_area(ring))
    areas = np.array([doubled_area(ring[t]) for t in triangles]) * sign
    assert areas.min() >= -1e-9 * areas.sum()
    assert areas.sum() == pytest.approx(abs(doubled_area(ring)))
    points = np.random.default_rng(0).uniform(ring.min(axis=0), ring.max(axis=0), (300, 2))
    covered = sum(winding(ring[t], points) for t in triangles)
    np.testing.assert_array_equal(covered, winding(ring, points))


def spiral(size):
    turn = np.linspace(0, 6 * np.pi, size)
    way = np.column_stack([np.cos(turn), np.sin(turn)])
    return np.concatenate([way * (turn + 2)[:, None], (way * (turn + 1)[:, None])[::-1]])


def comb(teeth):
    top = [(tooth / 2, 1 + 5 * (tooth % 2)) for tooth in range(2 * teeth)]
    return [(0, 0), (teeth, 0), (teeth, 6), *top[::-1]]


HOLED = [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (1, 1), (1, 3), (3, 3), (3, 1), (1, 1)]


@pytest.mark.parametrize(
    "ring",
    [
        [(0, 0), (1, 0), (1, 1), (0, 1)],
        [(1, 0), (0.25, 0.5), (0, 2), (-1, -1)],
        [(0, 0), (2, 0), (2, 2), (1, 0.5), (0, 2)],
        [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1)],  # straight corners
        [(0, 0), (0, 0), (2, 0), (2, 2), (1, 0.5), (1, 0.5), (0, 2)],  # corners twice
        [(0, 0), (2, 0), (2, 2), (1, 2), (1, 1), (1, 2), (0, 2)],  # a slit
        HOLED,
        comb(12),
        spiral(60),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_polygons_are_covered_once_from_any_corner(ring, backwards):
    ring = ring[::-1] if backwards else ring
    for first in range(0, len(ring), max(1, len(ring) // 8)):
        check_cover(np.roll(ring, first, axis=0))


@given(st.integers(0, 10**6), st.integers(4, 30))
def test_random_stars_in_any_plane(seed, size):
    generator = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    angles = (np.arange(size) + generator.uniform(0, 0.9, size)) * 2 * np.pi / size
    ring = np.column_stack([np.cos(angles), np.sin(angles)])
    ring *= generator.uniform(0.05, 1, (size, 1)) * 10.0 ** generator.integers(-3, 3)
    check_cover(ring, turn)


def test_polygons_of_all_sizes_keep_their_order_and_vertices():
    generator = np.random.default_rng(0)
    sizes = generator.integers(0, 9, 200)
    corners = generator.permutation(sizes.sum())
    vertices = generator.normal(size=(sizes.sum(), 3))
    triangles = triangulate(vertices, corners, sizes)
    owners = np.repeat(np.arange(200), np.maximum(sizes - 2, 0))
    assert len(triangles) == len(owners)
    polygon = np.empty(len(corners), int)
    polygon[corners] = np.repeat(np.arange(200), sizes)
    np.testing.assert_array_equal(polygon[triangles], np.repeat(owners[:, None], 3, axis=1))
    for number in np.flatnonzero(sizes >= 3):  # each corner is used
        assert set(triangles[owners == number].ravel()) == set(np.flatnonzero(polygon == number))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("shift", [0, 1e3])
def test_scale_and_place_do_not_matter(scale, shift):
    arrow = np.array([(1, 0, 0), (0.25, 0.5, 0), (0, 2, 0), (-1, -1, 0)]) + shift
    found = triangulate(arrow * scale, np.arange(4), np.array([4]))
    np.testing.assert_array_equal(found, [[3, 0, 1], [3, 1, 2]])


@pytest.mark.parametrize(
    "ring",
    [
        np.zeros((5, 3)),
        [(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3)],
        [(0, 0, 0), (1, 1, 0), (1, 0, 0), (0, 1, 0)],  # crosses itself, without area
        [(0, 0, 0), (4, 0, 0), (0, 3, 0), (1, -1, 0), (2, 3, 0)],  # crosses itself
        [(0, 0, 0), (1, 0, 1), (1, 1, 0), (0, 1, 1)],  # not plane
    ],
)
def test_polygons_without_a_plane_still_use_every_corner(ring):
    triangles = triangulate(np.asarray(ring, float), np.arange(len(ring)), np.array([len(ring)]))
    assert triangles.shape == (len(ring) - 2, 3)
    assert set(triangles.ravel()) == set(range(len(ring)))


def test_many_polygons_at_once():
    arrow = np.array([(0, 0, 0), (2, 0, 0), (2, 2, 0), (1, 0.5, 0), (0, 2, 0)])
    count = 60_000  # more corners than are looked at together
    triangles = triangulate(np.tile(arrow, (count, 1)), np.arange(5 * count), np.full(count, 5))
    one = triangulate(arrow, np.arange(5), np.array([5]))
    steps = 5 * np.repeat(np.arange(count), 3)
    np.testing.assert_array_equal(triangles, np.tile(one, (count, 1)) + steps[:, None])
