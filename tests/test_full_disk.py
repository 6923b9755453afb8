"""Commands whose disk is full: one sentence, nothing half-written, and on they go with room."""

import resource
from functools import partial

import pytest

from tests.fuzz.forked import forked, jobs, write_shapes


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("limit", [0, 5000])
def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, number, limit):
    write_shapes(tmp_path / "shapes")
    job = jobs(tmp_path / "shapes")[number]
    limits = (limit, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    full = partial(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
    for folder in ("whole", "small"):
        (tmp_path / folder).mkdir()
    ended = forked(partial(job.run, tmp_path / "small"), before=full)
    result = tmp_path / "small" / job.result
    if ended.status:
        assert not result.exists()
        (line,) = ended.said.splitlines()
        assert line.startswith("pcclust: error: ")
        assert str(tmp_path / "small") in line
        assert "(File too large)" in line
    assert not list((tmp_path / "small").glob(".*"))
    for folder in ("whole", "small"):
        assert forked(partial(job.run, tmp_path / folder)).status == 0
    assert result.read_bytes() == (tmp_path / "whole" / job.result).read_bytes()
