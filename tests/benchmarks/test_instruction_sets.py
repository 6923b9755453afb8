"""The benchmark of instruction sets: that each is asked for, and what the page says."""

import pytest

from benchmarks import instruction_sets
from benchmarks.instruction_sets import measured, page
from pcclust.ops._registry import why_missing


@pytest.mark.skipif(why_missing("cpu") is not None, reason="no native library")
def test_a_process_uses_the_set_that_is_wished_for(monkeypatch):
    monkeypatch.setattr(
        instruction_sets,
        "SCRIPT",
        "from pcclust.ops._facts import native_facts\n"
        "print(native_facts()['instruction_set'])\nprint('knn|1.5')",
    )
    assert measured("baseline") == ("baseline", {"knn": 1.5})


def test_the_page_compares_with_the_best_set():
    text = page({"avx2": {"knn": 6.0}, "avx512": {"knn": 4.0}}, rounds=2)
    assert "| kernel | avx2 | avx512 |" in text
    assert "| knn | 6.0 ms (1.5×) | 4.0 ms (1.0×) |" in text
