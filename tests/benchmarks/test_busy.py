"""The benchmark of a busy machine: that it is busy, and what the page says."""

import os
import time

from benchmarks.busy import Settings, busy, page


def test_loops_run_until_the_end_and_no_longer():
    with busy(1):
        before = os.times()
        time.sleep(0.5)
    after = os.times()
    assert after.children_user - before.children_user > 0.1
    with busy(0):
        pass


def test_the_page_has_times_and_what_would_be_fair(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    text = page(10.0, 25.0, Settings(loops=2))
    assert "| 10.0 s | 25.0 s | 2.50× | 2× |" in text
    assert "medians of 3." in text
