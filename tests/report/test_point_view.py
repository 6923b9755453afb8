"""The page must hold exactly the given numbers, need nothing from elsewhere, and draw."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcclust.report.page import render_page
from pcclust.report.point_view import PointView, Section
from pcclust.report.table import Table

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Checks that tags nest, and collects scripts, texts and attributes."""

    def __init__(self, page):
        super().__init__()
        self.open, self.scripts, self.texts, self.attributes = [], [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.scripts if self.open[-1:] == ["script"] else self.texts).append(data)

    def groups(self):
        return [json.loads(text) for text in self.scripts if text.lstrip().startswith("{")]


def decoded(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


def cloud(count=50, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 3)) * 3 + 100


def test_page_holds_the_points_centred_and_the_values_as_given():
    points, heights = cloud(), np.linspace(-2, 5, 50)
    view = PointView(points, {"height (m)": heights, "first": points[:, 0]}, title="pole")
    (group,) = Page(render_page("t", [Section(title="s", views=[view])])).groups()
    shown = decoded(group["views"][0]["points"]).reshape(-1, 3)
    np.testing.assert_allclose(shown, points - points.mean(0), atol=1e-6)
    np.testing.assert_array_equal(decoded(group["views"][0]["values"][0]), np.float32(heights))
    np.testing.assert_array_equal(decoded(group["views"][0]["values"][1]), np.float32(points[:, 0]))
    assert [c["name"] for c in group["channels"]] == ["height (m)", "first"]
    assert group["channels"][0]["range"] == [-2, 5]


def test_views_of_a_section_share_length_scale_and_colour_range():
    small = PointView(cloud(), np.arange(50.0), title="small")
    large = PointView(7 * cloud(), np.arange(50.0) - 80, title="large")
    alone = Section(title="alone", views=[small])
    both = Section(title="both", views=[small, large], linked=True, notes={"value": "a note"})
    first, second = Page(render_page("t", [alone, both])).groups()
    assert second["radius"] == pytest.approx(7 * first["radius"])
    centred = cloud() - cloud().mean(0)
    assert first["radius"] == pytest.approx(np.linalg.norm(centred, axis=1).max())
    assert first["channels"][0]["range"] == [0, 49]
    told = {"name": "value", "range": [-80, 49], "beyond": [False, False], "note": "a note"}
    assert second["channels"] == [told]
    assert (first["linked"], second["linked"]) == (False, True)


def test_percentiles_bound_the_colours_and_say_what_lies_beyond():
    view = PointView(cloud(101), np.r_[0:100.0, 1000])
    sections = [
        Section(title="s", views=[view], percentiles=bounds) for bounds in ((0, 98), (2, 100))
    ]
    high, low = (group["channels"][0] for group in Page(render_page("t", sections)).groups())
    assert (high["range"], high["beyond"]) == ([0, 98], [False, True])
    assert (low["range"], low["beyond"]) == ([2, 1000], [True, False])


def test_one_point_and_a_constant_channel_are_legal():
    view = PointView([[1.0, 2, 3]], [4.0])
    (group,) = Page(render_page("t", [Section(title="s", views=[view])])).groups()
    assert group["radius"] == 1
    assert group["channels"][0]["range"] == [4, 4]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_of_every_dtype_and_with_gradient_are_taken(dtype):
    points = torch.randn(9, 3).to(dtype).requires_grad_()
    view = PointView(points, points[:, 2])
    np.testing.assert_array_equal(view.points, points.detach().double().numpy())
    np.testing.assert_array_equal(view.channels["value"], view.points[:, 2])


@given(st.text(min_size=1, max_size=30))
@settings(deadline=None, max_examples=60)
def test_no_title_can_break_out_of_its_place(text):
    view = PointView(cloud(5), {text: np.arange(5.0)}, title=text)
    section = Section(title=text, views=[view], notes={text: text})
    table = Table([text], [[text]], caption=text).html()
    page = Page(render_page(text, [section, Section(title="x", html=table)], lead=text))
    (group,) = page.groups()
    assert group["views"][0]["title"] == text
    assert (group["channels"][0]["name"], group["channels"][0]["note"]) == (text, text)


@pytest.mark.parametrize("text", ["</script><b>", "<!--<script>", "a & b", '" onload="x', "$title"])
def test_markup_in_texts_is_shown_as_it_is(text):
    view = PointView(cloud(5), {text: np.arange(5.0)}, title=text)
    page = Page(render_page(text, [Section(title=text, views=[view])]))
    assert page.texts.count(text) == 5  # title, two headings, option, caption
    assert ("onload", "x") not in page.attributes
    assert page.groups()[0]["views"][0]["title"] == text


def test_page_asks_nothing_from_elsewhere():
    view = PointView(cloud(), cloud()[:, 0])
    page = render_page("t", [Section(title="s", views=[view])])
    assert not [v for name, v in Page(page).attributes if name in ("src", "href")]
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|fetch\(|XMLHttp|import\(", page)


def test_colour_map_is_viridis():
    colormaps = pytest.importorskip("matplotlib").colormaps
    script = render_page("t", [])
    nodes = "".join(re.findall(r'^ +"([0-9a-f]+)"', script, re.MULTILINE))
    ours = np.array([int(nodes[i : i + 2], 16) for i in range(0, len(nodes), 2)]).reshape(33, 3)
    between = [np.interp(np.arange(256) / 255, np.linspace(0, 1, 33), ours[:, i]) for i in range(3)]
    theirs = colormaps["viridis"](np.linspace(0, 1, 256))[:, :3] * 255
    assert np.abs(np.stack(between, axis=1) - theirs).max() < 2


def test_table_aligns_columns_of_numbers_and_escapes():
    rows = [["<b>", "1.5 m", "2 points of 3"], ["c", "−3e-07", "4"], ["d", "–", "5"]]
    table = Table(["name", "size", "words"], rows).html()
    assert table.count('<td class="number">') == 3
    assert '<th scope="col" class="number">size</th>' in table
    assert "&lt;b&gt;" in table
    with pytest.raises(ValueError, match="3 columns, but a row of 1 cells"):
        Table(["name", "size", "words"], [["alone"]])


@pytest.mark.parametrize(
    ("points", "values", "message"),
    [
        (np.zeros((4, 2)), np.zeros(4), r"points must be \(N, 3\).*\(4, 2\)"),
        (np.zeros((0, 3)), np.zeros(0), r"points must be \(N, 3\) with N >= 1"),
        (np.zeros((4, 3)), np.zeros(5), r"channel 'value' has shape \(5,\), points need \(4,\)"),
        (np.zeros((4, 3)), {}, "at least one channel"),
        ([[0, 0, np.nan]], [0.0], r"points hold nan at index \[0, 2\]"),
        ([[0.0, 0, 0]], {"h": [np.inf]}, r"channel 'h' hold inf at index \[0\]"),
    ],
)
def test_wrong_input_is_named(points, values, message):
    with pytest.raises(ValueError, match=message):
        PointView(points, values)


def test_views_of_a_section_must_share_channels():
    views = [PointView(cloud(), {name: np.zeros(50)}) for name in ("a", "b")]
    with pytest.raises(ValueError, match=r"section 's' must share .*\['a'\] against \['b'\]"):
        render_page("t", [Section(title="s", views=views)])
