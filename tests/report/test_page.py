"""What stands in reports: tables that say the same everywhere, drawings in the page's colours."""

import re
from xml.etree import ElementTree

import pytest
from matplotlib.style import context

from pcclust.report.figure import STYLE, inline_svg, new_figure
from pcclust.report.page import render_page
from pcclust.report.point_view import Section
from pcclust.report.table import Table, about_table

ROWS = [["<b>", "1.5 m", "55.4 ± 0.4", "2 points of 3"], ["c|d", "−3e-07", "–", "4"]]


def drawing(label):
    with context(STYLE):
        figure = new_figure(4, 3)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], "o", label="marks")
        axes.imshow([[0, 1]])
        axes.set_xlabel("across")
        return inline_svg(figure, label)


def test_columns_of_numbers_align_right_in_html_and_markdown():
    table = Table(["name", "size", "fraction", "words"], ROWS, "A caption")
    assert table.numeric == [False, True, True, False]
    assert table.html().count('<td class="number">') == 4
    assert "<caption><span>A caption</span></caption>" in table.html()
    lines = table.markdown().splitlines()
    assert lines[:2] == ["A caption", ""]
    assert lines[3] == "|---|---:|---:|---|"
    assert lines[5] == "| c\\|d | −3e-07 | – | 4 |"


def test_markup_in_cells_is_shown_as_it_is():
    table = Table(["a_b", "one\nanswer"], [["*x* `y` [z] <i>", "\\"]])
    assert table.markdown().splitlines()[0] == "| a\\_b | one answer |"
    assert table.markdown().splitlines()[2] == "| \\*x\\* \\`y\\` \\[z] \\<i> | \\\\ |"
    assert "&lt;i&gt;" in table.html()
    with pytest.raises(ValueError, match="2 columns, but a row of 1 cells"):
        Table(["a", "b"], [["alone"]])


def test_what_it_was_made_with_is_told_line_by_line():
    rows = about_table({"model": "m"}, {"seed": 3, "C": 0.0020319}).rows
    assert rows == [["model", "m"], ["seed", "3"], ["C", "0.00203"]]


def test_drawings_are_markup_in_the_colours_of_the_page():
    text = drawing("a <line>")
    assert "var(--ink)" in text
    assert "var(--quiet)" in text
    assert STYLE["text.color"] not in text
    root = ElementTree.fromstring(text)
    assert root[0].attrib["aria-label"] == root.attrib["data-what"] == "a <line>"
    assert ">across</text>" in text
    assert not re.search(r"<(script|metadata)|(src|href)=\"http", text)


def test_names_of_two_drawings_never_meet_and_all_references_hold():
    page = render_page("t", [Section(title="s", html=drawing("first") + drawing("second"))])
    names = re.findall(r' id="([^"]+)"', page)
    assert len(names) == len(set(names))
    references = re.findall(r'href="#([^"]+)"', page) + re.findall(r"url\(#([^)]+)\)", page)
    assert references
    assert set(references) <= set(names)


def test_same_figure_same_bytes():
    assert drawing("again") == drawing("again")
