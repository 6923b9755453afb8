"""Whatever the screen and the graphics card, every canvas shows its points, and goes on to."""

from io import BytesIO

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from pcclust.data import PointDataset
from pcclust.evaluate.clustering import clustering
from pcclust.report.cluster_rows import SCRIPT, Turned, cluster_rows, render_rows, rows_script
from pcclust.report.page import render_page
from pcclust.report.point_view import PointView, Section
from tests.pages.chromium import opened

# How many pixels of each canvas are not empty; none where it has no pixels at all.
FILLED = """(elsewhere) => [...document.querySelectorAll("canvas")].filter((canvas) => {
  const box = canvas.getBoundingClientRect();
  return elsewhere || (box.bottom > 0 && box.top < innerHeight && box.right > 0
                       && box.left < innerWidth);
}).map((canvas) => {
  if (!canvas.width) return 0;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, value, i) => sum + (i % 4 === 3 && value > 0), 0);
})"""
PIXELS = '() => [...document.querySelectorAll("canvas")].map((canvas) => canvas.width ** 2)'
# Keeps the page's WebGL contexts, so that they can be lost as a phone loses them.
KEPT = """window.contexts = [];
const getContext = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  const context = getContext.call(this, kind, ...more);
  if (kind === "webgl2" && context) window.contexts.push(context);
  return context;
};"""

NO_WEBGL = """const getContext = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  return kind === "webgl2" ? null : getContext.call(this, kind, ...more);
};"""


def until(page, found, timeout=20_000):
    """Waits until all canvases are filled; returns how many pixels of each are."""
    page.wait_for_function(f"(elsewhere) => {{ const f = ({FILLED})(elsewhere); "
                           "return f.length && f.every((n) => n > 20); }", arg=found,
                           timeout=timeout)  # fmt: skip
    return page.evaluate(FILLED, found)


@pytest.mark.parametrize("name", ["demo", "side-by-side", "view"])
def test_a_phone_shows_every_canvas_without_scrolling_there(browser, page_of, name):
    with opened(browser, page_of(name), "phone") as page:
        assert len(until(page, True)) >= 6


def test_without_webgl_the_2d_canvas_draws(browser, page_of):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(NO_WEBGL)
    page.goto(page_of("side-by-side").as_uri())
    until(page, True)
    assert page.evaluate("document.documentElement.dataset.painter") == "canvas"
    context.close()


def test_when_the_card_is_taken_away_the_views_go_on(browser, page_of):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(KEPT)
    page.goto(page_of("demo").as_uri())
    before = until(page, True)
    assert page.evaluate("document.documentElement.dataset.painter") == "webgl2"
    page.evaluate("contexts.forEach((gl) => gl.getExtension('WEBGL_lose_context').loseContext())")
    page.wait_for_function("document.documentElement.dataset.painter === 'canvas'")
    page.evaluate("document.querySelectorAll('button').forEach((b) => b.click())")  # redraws
    after = until(page, True)
    np.testing.assert_allclose(after[:3], before[:3], rtol=0.2)
    context.close()


def test_at_night_all_views_change_their_colours(browser, page_of):
    """The mean colour of the first view, which another script of the page draws than the last."""
    mean = """(i) => { const c = document.querySelectorAll("canvas")[i];
      const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
      let sum = 0, n = 0; for (let j = 0; j < d.length; j += 4)
        if (d[j + 3] > 250) { sum += d[j] + d[j + 1] + d[j + 2]; n += 1; } return sum / n; }"""
    with opened(browser, page_of("demo")) as page:
        count = len(until(page, True))
        by_day = [page.evaluate(mean, i) for i in (0, count - 1)]
        page.emulate_media(color_scheme="dark")
        for i, day in zip((0, count - 1), by_day, strict=True):
            page.wait_for_function(
                f"([i, day]) => Math.abs(({mean})(i) - day) > 5", arg=[i, day], timeout=20_000
            )


def test_canvases_together_hold_no_more_pixels_than_there_is_room_for(browser, page_of, tmp_path):
    text = page_of("demo").read_text("utf-8")
    assert text.count("2 ** 25") == 1
    small = tmp_path / "small.html"
    small.write_text(text.replace("2 ** 25", "2 ** 18"), encoding="utf-8")
    with opened(browser, small, "phone") as page:
        for part in (0.0, 0.5, 1.0, 0.0):
            page.evaluate(f"scrollTo(0, {part} * document.documentElement.scrollHeight)")
            page.wait_for_timeout(200)
            if page.evaluate(FILLED, False):
                until(page, False)
            assert sum(page.evaluate(PIXELS)) <= 2**18
        assert 0 in page.evaluate(FILLED, True)


@pytest.mark.parametrize("script", ["", NO_WEBGL], ids=["webgl2", "canvas"])
def test_a_ball_is_drawn_in_the_colours_of_its_channel(browser, tmp_path, script):
    ball = np.random.default_rng(0).normal(size=(4000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    view = PointView(ball, ball[:, 2], title="ball")
    path = tmp_path / "page.html"
    path.write_text(render_page("t", [Section(title="s", views=[view])]), encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(script)
    page.goto(path.as_uri())
    until(page, True)
    picture = imread(BytesIO(page.locator("canvas").screenshot()))[..., :3]
    vivid = picture.max(axis=-1) - picture.min(axis=-1) > 0.15
    assert vivid.mean() > 0.25
    quarter = len(picture) // 4
    top, bottom = (picture[half][vivid[half]] for half in (slice(quarter), slice(-quarter, None)))
    assert top[:, 1].mean() > top[:, 2].mean() + 0.1  # green and yellow above
    assert bottom[:, 2].mean() > bottom[:, 1].mean()  # violet and blue below
    context.close()


def test_turned_shapes_stand_below_upright_ones(browser, tmp_path):
    """Rods: high and narrow above, low and wide below."""
    rods = torch.randn(6, 300, 3, generator=torch.Generator().manual_seed(0))
    rods *= torch.tensor([0.05, 0.05, 1])
    report = clustering(np.arange(12.0).reshape(6, 2), n_clusters=2, seeds=1)
    shapes, rows = PointDataset(rods), cluster_rows(report)
    lying = Turned(rods[..., [0, 2, 1]], report.methods[0].runs[0].clusters)
    html = render_rows(rows, shapes, lying) + rows_script(shapes, np.arange(6), turned=lying)
    sections = [Section(title="rods", html=html)]
    text = render_page("t", sections, scripts=[SCRIPT], styles=[SCRIPT])
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    with opened(browser, tmp_path / "page.html") as page:
        until(page, True)
        heights = [_vivid_rows(canvas) for canvas in page.locator(".row canvas").all()]
        assert len(heights) == 12
        assert min(heights[::2]) > 0.6
        assert max(heights[1::2]) < 0.4


def _vivid_rows(canvas):
    """Returns which fraction of the rows of a canvas has colours."""
    picture = imread(BytesIO(canvas.screenshot()))[..., :3]
    vivid = picture.max(axis=-1) - picture.min(axis=-1) > 0.15
    return vivid.any(axis=1).mean()
