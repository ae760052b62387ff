"""Shapes against outlines built otherwise: corners joined by lines, circles by their equation."""

import math

import numpy as np
import pytest

from saccade.data.scenes import shapes


def corners(*degrees_and_radii):
    return [(r * math.sin(math.radians(a)), -r * math.cos(math.radians(a))) for a, r in degrees_and_radii]


def square(half):
    return [(-half, -half), (half, -half), (half, half), (-half, half)]


POLYGONS = {
    "square": [square(0.86)],
    "triangle": [corners((0, 1.12), (120, 1.12), (240, 1.12))],
    "star": [corners(*((36 * k, 0.46 if k % 2 else 1) for k in range(10)))],
    "frame": [square(0.92), square(0.6)],  # the second is a hole: inside both is outside
    "cross": [
        [(x, y) for x, y in zip(
            (-0.3, 0.3, 0.3, 0.95, 0.95, 0.3, 0.3, -0.3, -0.3, -0.95, -0.95, -0.3),
            (-0.95, -0.95, -0.3, -0.3, 0.3, 0.3, 0.95, 0.95, 0.3, 0.3, -0.3, -0.3),
            strict=True,
        )]
    ],
    "arrow": [[(0, -1), (0.8, 0), (0.28, 0), (0.28, 0.95), (-0.28, 0.95), (-0.28, 0), (-0.8, 0)]],
}  # fmt: skip


def crossings(polygons, u, v):
    """Whether a ray to the right from each point crosses the outlines an odd number of times."""
    odd = np.zeros(u.shape, bool)
    for polygon in polygons:
        for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            if y0 != y1:
                odd ^= ((y0 > v) != (y1 > v)) & (u < x0 + (v - y0) * (x1 - x0) / (y1 - y0))
    return odd


def to_outline(polygons, u, v):
    """Distance to the nearest of all edges."""
    best = np.full(u.shape, np.inf)
    for polygon in polygons:
        for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            x, y = x1 - x0, y1 - y0
            along = np.clip(((u - x0) * x + (v - y0) * y) / (x * x + y * y), 0, 1)
            best = np.minimum(best, np.hypot(u - x0 - along * x, v - y0 - along * y))
    return best


ROUND = {
    "disc": lambda u, v: np.hypot(u, v) < 1,
    "ring": lambda u, v: (np.hypot(u, v) < 1) & (np.hypot(u, v) > 0.66),
    "crescent": lambda u, v: (np.hypot(u - 0.22, v) < 1) & (np.hypot(u - 0.72, v) > 0.82),
    # two discs of radius 0.58 above, and between their outer sides and the tip two tangents
    "heart": lambda u, v: (
        (np.hypot(np.abs(u) - 0.58 / math.sqrt(2), v - 0.08 + 0.58 / math.sqrt(2)) < 0.58)
        | crossings([[(0, 0.08 - 0.58 * math.sqrt(2)), (0.58 * math.sqrt(2), 0.08), (0, 0.08 + 0.58 * math.sqrt(2)),
                      (-0.58 * math.sqrt(2), 0.08)]], u, v)
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(0).uniform(-1.4, 1.4, (2, 40_000))


def test_each_shape_is_looked_at():
    assert set(POLYGONS) | set(ROUND) == set(shapes.SHAPES)


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_inside_is_where_the_distance_is_negative(name, points):
    distance = shapes.SHAPES[name](*points)
    inside = ROUND[name](*points) if name in ROUND else crossings(POLYGONS[name], *points)
    clear = np.abs(distance) > 1e-9
    assert np.array_equal(distance[clear] < 0, inside[clear])
    assert 0.05 < inside.mean() < 0.5


@pytest.mark.parametrize("name", POLYGONS)
def test_distances_are_exact_at_the_edges_away_from_corners(name, points):
    """By which edges are drawn soft over one pixel, neither more nor less."""
    polygons = POLYGONS[name]
    all_corners = [corner for polygon in polygons for corner in polygon]
    far = np.min([np.hypot(points[0] - x, points[1] - y) for x, y in all_corners], axis=0) > 0.12
    distance, exact = np.abs(shapes.SHAPES[name](*points)), to_outline(polygons, *points)
    near = far & (exact < 0.04)
    assert near.sum() > 300
    np.testing.assert_allclose(distance[near], exact[near], atol=1e-6)


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_no_shape_reaches_beyond_its_reach(name, points):
    inside = shapes.SHAPES[name](*points) <= 0
    farthest = np.hypot(*points)[inside].max()
    assert farthest <= shapes.REACH.get(name, 1.01)
    assert farthest >= 0.88 * shapes.REACH.get(name, 1.01)


@pytest.mark.parametrize("name", shapes.HOLES)
def test_the_hole_begins_where_the_shape_ends(name, points):
    hole, shape = shapes.hole_distance(name, *points), shapes.SHAPES[name](*points)
    assert not ((hole < 0) & (shape < 0)).any()
    disc = np.hypot(*points) < shapes.HOLES[name]
    assert (hole[disc] < 0).all()
    rim = np.hypot(*points) < shapes.HOLES[name] + 0.2
    assert ((hole[rim] < 0) | (shape[rim] < 0)).all()
