"""Rows of clusters whose shapes are also shown turned."""

import numpy as np
import torch

from pcclust.data import PointDataset
from pcclust.evaluate.clustering import clustering
from pcclust.report.cluster_rows import (
    SCRIPT,
    Turned,
    cluster_rows,
    render_rows,
    rows_script,
)
from pcclust.report.page import render_page
from pcclust.report.point_view import Section
from tests.report.test_cluster_gallery import Page, decoded

GROUPS = np.array([0] * 5 + [1] * 4 + [2] * 3)


def rows_and_shapes():
    features = 50 * np.eye(3)[GROUPS] + np.arange(12)[:, None] / 100
    report = clustering(features, n_clusters=3, seeds=1)
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(12, 300, 3))).float()
    return report, cluster_rows(report), PointDataset(points, names=[f"s{i}" for i in range(12)])


def page_of(turned):
    _, rows, shapes = rows_and_shapes()
    html = render_rows(rows, shapes, turned) + rows_script(shapes, np.arange(12), turned=turned)
    return render_page("t", [Section(title="s", html=html)], scripts=[SCRIPT], styles=[SCRIPT])


def turned(moves=()):
    """Half turns about x, and those that come to another row."""
    report, rows, shapes = rows_and_shapes()
    clusters = report.methods[0].runs[0].clusters.copy()
    for index, row in moves:
        clusters[index] = rows[row].cluster if row < len(rows) else 99
    return Turned(shapes.points * torch.tensor([1.0, -1, -1]), clusters)


def test_every_shape_is_shown_twice_and_none_moves():
    page = page_of(turned())
    found = Page(page)
    assert page.count("<canvas") == 2 * 12
    assert "→" not in page
    told = [row["text"] for row in found.rows]
    for text, size in zip(told, (5, 4, 3), strict=True):
        assert f"{size} shapes · {size} of {size} stay when turned" in text
    upright, below = (decoded(found.data[key]).reshape(12, 256, 3) for key in ("points", "turned"))
    np.testing.assert_allclose(upright * [1, -1, -1], below, atol=1e-4)


def test_those_that_come_to_another_cluster_say_to_which():
    found = Page(page_of(turned([(0, 1), (3, 2), (9, 3)])))
    told = [row["text"] for row in found.rows]
    assert "5 shapes · 3 of 5 stay when turned" in told[0]
    assert "4 of 4 stay" in told[1]
    assert "3 shapes · 2 of 3 stay" in told[2]
    assert "→ 2 s0" in told[0]
    assert "→ 3 s3" in told[0]
    assert "→ 4 s9" in told[2]  # a cluster without a row comes after the others
    labels = [value for name, value in found.attributes if name == "aria-label"]
    assert "s0, turned in cluster 2, turned" in labels


def test_without_turned_shapes_nothing_is_said_of_them():
    page = page_of(None)
    assert page.count("<canvas") == 12
    assert "turned" not in Page(page).data
    assert "stay when" not in page
