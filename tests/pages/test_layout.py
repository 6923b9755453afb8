"""What people see and reach: whole legends, one colour bar, tables that scroll, the keyboard."""

from pcclust.report.cluster_gallery import gallery_page
from tests.pages.chromium import opened
from tests.report.test_cluster_gallery import shapes_and_report

PIXELS = "(canvas) => canvas.toDataURL()"


def test_the_legend_of_the_map_has_every_cluster_in_sight(browser, tmp_path):
    _, _, shapes, report = shapes_and_report(sizes=(3,) * 15, points=20)
    (tmp_path / "page.html").write_text(gallery_page(report, shapes), encoding="utf-8")
    for screen in ("phone", "desktop"):
        with opened(browser, tmp_path / "page.html", screen) as page:
            legend = page.locator(".map-legend")
            names = legend.locator("button").all_inner_texts()
            assert names == [f"Cluster {number}" for number in range(1, 16)]
            whole, seen = legend.evaluate("(box) => [box.scrollHeight, box.clientHeight]")
            assert whole <= seen + 1
            page.locator("select").select_option("class")
            assert legend.locator("button").count() == 15


def test_a_contact_sheet_has_one_colour_bar_and_a_heading_for_each_class(browser, page_of):
    with opened(browser, page_of("sheet")) as page:
        assert page.locator(".bar").count() == 1
        headings = page.locator(".grid h3").all_inner_texts()
        assert headings == ["box (20)", "plate (20)", "sphere (20)"]
        bar = page.locator(".bar")
        page.mouse.wheel(0, 400)
        page.wait_for_timeout(200)
        assert 0 <= bar.bounding_box()["y"] < 200  # it stays in sight


def test_the_keyboard_turns_a_view_and_scrolls_what_is_wide(browser, page_of):
    with opened(browser, page_of("evaluation"), "phone") as page:
        page.wait_for_function("document.querySelector('.scroller.scrolls')")
        page.keyboard.press("Tab")
        focused = page.evaluate_handle("document.activeElement")
        assert "scroller" in focused.evaluate("(e) => e.className")
        assert "wider than the page" in focused.evaluate("(e) => e.getAttribute('aria-label')")
        page.keyboard.press("ArrowRight")
        page.wait_for_function("(e) => e.scrollLeft > 0", arg=focused)
        view = page.locator("canvas").first
        view.focus()
        page.wait_for_function("(e) => e.width > 0", arg=view.element_handle())
        before = view.evaluate(PIXELS)
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(200)
        assert view.evaluate(PIXELS) != before


def test_drawings_are_no_smaller_than_can_be_read(browser, page_of):
    for name in ("evaluation", "side-by-side"):
        with opened(browser, page_of(name), "phone") as page:
            sizes = page.evaluate(
                """[...document.querySelectorAll(".drawing svg")].map((svg) =>
                  svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)"""
            )
            assert sizes
            assert min(sizes) >= 0.99  # a point of its texts is a CSS pixel


def test_a_desktop_is_used_in_its_whole_width(browser, page_of):
    with opened(browser, page_of("evaluation")) as page:
        boxes = [s.bounding_box() for s in page.locator("main > section").all()]
        assert boxes[0]["y"] == boxes[1]["y"]
        assert boxes[1]["x"] + boxes[1]["width"] > 1150
