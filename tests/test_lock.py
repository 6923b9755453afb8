import fcntl
import os
import subprocess
import sys

import pytest

from pcclust._lock import LOCK, OutputLockedError, locked_file, locked_folder

HOLD = """
import sys, time
from pathlib import Path
from pcclust._lock import locked_file
with locked_file(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_holds_it_and_a_killed_holder_holds_nothing(tmp_path):
    out = tmp_path / "rri.h5"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, out], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        told = (
            rf"{out} is being written by process {holder.pid} on .+, since 2.+ \(-c {out}\): wait"
        )
        with pytest.raises(OutputLockedError, match=told), locked_file(out):
            pass
        holder.kill()
    assert (tmp_path / ".rri.h5.lock").exists()
    with locked_file(out):
        assert [path.name for path in tmp_path.iterdir()] == [".rri.h5.lock"]
    assert not list(tmp_path.iterdir())


def test_a_folder_is_made_and_goes_if_nothing_came_into_it(tmp_path):
    folder = tmp_path / "a" / "b"
    with locked_folder(folder):
        assert (folder / LOCK).exists()
    assert not folder.exists()
    with locked_folder(folder):
        (folder / "report.md").touch()
    assert [path.name for path in folder.iterdir()] == ["report.md"]
    with locked_folder(None):
        pass


def test_a_lock_whose_file_its_holder_has_just_removed_is_not_taken_for_one(tmp_path, monkeypatch):
    out, file = tmp_path / "out", tmp_path / ".out.lock"
    real, calls = fcntl.flock, []

    def late(lock, how):
        if not calls:
            file.unlink()  # the holder lets go between our opening and our locking
        calls.append(lock)
        real(lock, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked_file(out):
        assert len(calls) == 2
        assert os.path.samestat(os.fstat(calls[1]), file.stat())


def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match="keeps no locks"), locked_file(tmp_path / "out"):
        pass


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with (
        pytest.raises(OSError, match=r"nothing can be written to .*no/out \(No such file or dir"),
        locked_file(tmp_path / "no" / "out"),
    ):
        pass
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError, match=r"nothing can be written to .*file/out \(Not a directory\)"),
        locked_folder(tmp_path / "file" / "out"),
    ):
        pass
