"""The folder of an unfinished output, whose process may be killed at any instant."""

import os

import pytest

from pcclust.data.partial_output import PartialFolder

SETTINGS: dict[str, object] = {"k": 4}


class Killed(BaseException):
    """Stands for a SIGKILL."""


@pytest.mark.parametrize("deleted", range(7))
def test_a_run_goes_on_that_was_killed_while_it_tidied_up(tmp_path, monkeypatch, deleted):
    """With the first of the parts, under their numbers: the next one is put behind them."""
    folder = PartialFolder(tmp_path / "out.npz", SETTINGS, resume=False)
    for number in range(5):
        folder.save({"names": [f"{number}"]})
    left, unlink = iter(range(deleted)), os.unlink

    def until_killed(*given, **more):
        if next(left, None) is None:
            raise Killed
        unlink(*given, **more)

    monkeypatch.setattr(os, "unlink", until_killed)
    try:
        folder.remove()
    except Killed:
        assert deleted < 6
    monkeypatch.undo()
    again = PartialFolder(tmp_path / "out.npz", SETTINGS, resume=True)
    assert again.names() == [str(number) for number in range(max(0, 5 - deleted))]
