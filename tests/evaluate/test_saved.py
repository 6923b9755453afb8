"""What reports say of themselves in a few lines."""

import pytest

from pcclust.evaluate.saved import MOST_LINES, told_in_lines


@pytest.mark.parametrize(
    ("count", "shown", "rest"),
    [(0, 0, []), (16, 16, []), (17, 15, ["  … 2 more"]), (40, 15, ["  … 25 more"])],
)
def test_many_lines_are_cut_and_counted(count, shown, rest):
    lines = [f"line {i}" for i in range(count)]
    told = told_in_lines("Report", {"model": "m", "data": "d"}, lines).splitlines()
    assert told == ["Report: m on d", *(f"  {line}" for line in lines[:shown]), *rest]
    assert len(told) <= MOST_LINES + 1
