import re

import pytest

from pcclust.cluster import CurvePoint, NumberOfClusters
from pcclust.report.number_curve import number_curve


def drawn(page):
    lines = re.findall(r'polyline points="([^"]*)"', page)
    return [[tuple(map(float, corner.split(","))) for corner in line.split()] for line in lines]


def test_each_criterion_is_a_curve_over_the_number_scaled_to_its_range():
    curve = (
        CurvePoint(2, 0.1, 1.0, 0.5),
        CurvePoint(4, 0.3, 0.5, 0.5),
        CurvePoint(10, 0.2, 0.0, 0.5),
    )
    page = number_curve(NumberOfClusters(curve, 4, "silhouette"))
    silhouette, strength, agreement = drawn(page)
    assert [x for x, _ in silhouette] == [40, 97.5, 270]
    assert [y for _, y in silhouette] == [140, 10, 75]
    assert [y for _, y in strength] == [10, 75, 140]
    assert [y for _, y in agreement] == [75, 75, 75]
    assert page.count('x1="97.5"') == 3  # where the number chosen is marked
    assert "4 clusters were chosen by silhouette, without a label. No number has" in page


def test_a_single_number_is_drawn_too():
    curve = (CurvePoint(3, 0.1, 1.0, 0.5),)
    assert drawn(number_curve(NumberOfClusters(curve, 3, "prediction strength")))[0] == [(155, 75)]


@pytest.mark.parametrize("best", [2, 3])
def test_values_at_the_number_chosen_are_told(best):
    curve = (CurvePoint(2, 0.11, 0.9, 0.8), CurvePoint(3, 0.42, 0.7, 0.6))
    page = number_curve(NumberOfClusters(curve, best, "silhouette"))
    assert f"{curve[best - 2].silhouette:.2f} at {best}" in page
