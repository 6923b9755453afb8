"""The page of clusters: it must say which shapes are where, hold their points, and draw them."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from pcclust.data import PointDataset
from pcclust.evaluate.clustering import clustering
from pcclust.report import cluster_gallery as module
from pcclust.report.cluster_gallery import gallery_page
from pcclust.report.cluster_map import map_features

VOID = {"meta", "link", "br", "img", "input", "hr"}
SIZES = (5, 20, 11)


class Page(HTMLParser):
    """Checks that tags nest; collects what is in rows, the data, and all attributes."""

    def __init__(self, page):
        super().__init__()
        self.open, self.rows, self.attributes, self.texts = [], [], [], []
        self.data = None
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.attributes += attributes
        if tag == "article":
            self.rows.append({"id": given["id"], "shapes": [], "text": ""})
        if tag == "figure":
            self.rows[-1]["shapes"].append(given.get("data-index"))
        if tag not in VOID:
            self.open.append((tag, given.get("id")))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open[-1:] == [("script", "gallery-data")]:
            self.data = json.loads(data)
        elif "article" in [tag for tag, _ in self.open]:
            self.rows[-1]["text"] += data
        self.texts.append(data)


def shapes_and_report(sizes=SIZES, points=300, seed=0, **options):
    """Groups of shapes that are far apart, in a mixed order."""
    generator = np.random.default_rng(seed)
    groups = generator.permutation(np.repeat(np.arange(len(sizes)), sizes))
    features = generator.normal(size=(len(groups), 4)) + 90 * np.eye(4)[groups % 4]
    features[:, 0] += 200 * (groups // 4)
    clouds = torch.from_numpy(generator.normal(size=(len(groups), points, 3))).float()
    shapes = PointDataset(
        clouds,
        groups,
        [f"folder/shape {i}.off" for i in range(len(groups))],
        [f"kind {i}" for i in range(len(sizes))],
    )
    report = clustering(features, groups, n_clusters=len(sizes), seeds=1, **options)
    return groups, features, shapes, report


def named_only(shapes):
    """The same names, with nothing else known."""
    return PointDataset(torch.empty(len(shapes), 0, 3), names=shapes.names)


def decoded(text):
    return np.frombuffer(base64.b64decode(text), "<i2") / 32767


def test_rows_are_the_clusters_largest_first_and_central_shapes_first():
    groups, features, shapes, report = shapes_and_report()
    rows = Page(gallery_page(report, shapes)).rows
    assert [row["id"] for row in rows] == ["cluster-1", "cluster-2", "cluster-3"]
    for row, group in zip(rows, (1, 2, 0), strict=True):
        members = np.flatnonzero(groups == group)
        away = np.linalg.norm(features[members] - features[members].mean(axis=0), axis=1)
        central = members[np.argsort(away)][:9]
        assert row["shapes"] == [str(i) for i in central]
        assert f"{len(members)} shapes · 100 % kind {group}" in row["text"]
    assert "11 not shown" in rows[0]["text"]
    assert "not shown" not in rows[2]["text"]


def test_the_shares_of_classes_are_told():
    _, _, shapes, report = shapes_and_report(sizes=(20,) * 4)
    report = clustering(report.space, n_clusters=1, seeds=1)
    (row,) = Page(gallery_page(report, shapes)).rows
    assert "25 % kind 0, 25 % kind 1, 25 % kind 2 and 1 more class" in row["text"]


def test_every_shape_shown_has_its_points_centred_and_within_the_unit_sphere():
    groups, _, shapes, report = shapes_and_report()
    data = Page(gallery_page(report, shapes)).data
    assert data["indices"] == list(range(36))  # all are on the map
    assert data["count"] == 256
    points = decoded(data["points"]).reshape(36, 256, 3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=2).max(axis=1), 1, atol=1e-4)
    cloud = shapes.points[7].double().numpy()
    cloud = cloud - cloud.mean(axis=0)
    scale = np.linalg.norm(cloud, axis=1).max()  # farthest points hold the outermost one
    apart = np.linalg.norm(points[7][:, None] * scale - cloud[None], axis=2).min(axis=1)
    assert apart.max() < 1e-3 * scale
    assert [data["classNames"][i] for i in data["labels"]] == [f"kind {g}" for g in groups]
    order = {1: 0, 2: 1, 0: 2}
    assert data["clusters"] == [order[g] for g in groups]


def test_many_clusters_have_short_rows_and_the_map_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAPPED", 100)
    _, _, shapes, report = shapes_and_report(sizes=(3,) * 80, points=20)
    page = gallery_page(report, shapes)
    found = Page(page)
    assert len(found.rows) == len(set(report.methods[0].runs[0].clusters.tolist()))
    assert len(found.data["map"]["shapes"]) == 100
    assert "100 shapes at random; 140 are not shown" in page
    shown = {int(i) for row in found.rows for i in row["shapes"]}
    mapped = {found.data["indices"][i] for i in found.data["map"]["shapes"]}
    assert set(found.data["indices"]) == shown | mapped
    assert len(decoded(found.data["map"]["places"])) == 200


def test_three_hundred_clusters_stay_small(monkeypatch):
    monkeypatch.setattr(module, "map_features", lambda features, seed: (features[:, :2] * 0, "no"))
    sizes = (8,) * 300
    shapes = PointDataset(torch.rand(2400, 256, 3))
    features = np.repeat(np.random.default_rng(0).normal(size=(300, 4)), sizes, axis=0)
    features += np.random.default_rng(1).normal(size=features.shape) * 1e-4
    report = clustering(features, n_clusters=300, seeds=1)
    page = gallery_page(report, shapes)
    assert max(len(row["shapes"]) for row in Page(page).rows) == 4
    assert len(page) < 6_000_000


def test_without_points_or_labels_names_are_shown():
    _, features, shapes, _ = shapes_and_report()
    report = clustering(features, n_clusters=3, seeds=1)
    page = gallery_page(report, named_only(shapes))
    found = Page(page)
    assert "points" not in found.data
    assert "labels" not in found.data
    assert "<canvas" not in page.split('class="dots"')[1].split("<script>")[0]
    assert "shape 0.off" in "".join(row["text"] for row in found.rows)
    assert "%" not in found.rows[0]["text"]


@pytest.mark.parametrize("text", ["</script><b>", "<!--<script>", "a & b", '" onload="x', "$title"])
def test_markup_in_names_is_shown_as_it_is(text):
    _, _, shapes, report = shapes_and_report(sizes=(2, 2))
    names, classes = [f"{text}{i}" for i in range(4)], [text, f"{text}!"]
    named = PointDataset(shapes.points, shapes.labels, names, classes)
    found = Page(gallery_page(report, named, title=text))
    assert found.data["names"] == names
    assert found.data["classNames"] == classes
    assert ("onload", "x") not in found.attributes
    assert text in found.texts


def test_the_page_asks_nothing_from_elsewhere():
    page = gallery_page(*reversed(shapes_and_report()[2:]))
    assert not [v for name, v in Page(page).attributes if name in ("src", "href")]
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|fetch\(|XMLHttp|import\(", page)


@pytest.mark.parametrize(
    ("count", "message"),
    [(1, "1 shape for the 36 of the report"), (35, "35 shapes for the 36 of the report")],
)
def test_counts_that_differ_are_named(count, message):
    _, _, shapes, report = shapes_and_report()
    with pytest.raises(ValueError, match=message):
        gallery_page(report, shapes.subset(range(count)))


def test_the_map_keeps_groups_together_and_repeats_itself():
    groups = np.repeat([0, 1, 2], 20)
    features = np.random.default_rng(0).normal(size=(60, 9)) + 40 * np.eye(9)[groups]
    places, how = map_features(features, seed=3)
    np.testing.assert_array_equal(places, map_features(features, seed=3)[0])
    assert how == "t-SNE, perplexity 15, seed 3."
    assert np.abs(places).max() == 1
    away = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(away, np.inf)
    assert (groups[away.argmin(axis=1)] == groups).all()


def test_few_shapes_are_mapped_by_components():
    line = np.arange(5.0)[:, None]
    places, how = map_features(line)
    np.testing.assert_allclose(np.abs(places[:, 0]), [1, 0.5, 0, 0.5, 1])
    assert (places[:, 1] == 0).all()
    assert how == "The first two principal components."
