"""`pcclust rri` killed, at any file it is about to put in place, and continued."""

import subprocess
import sys

import numpy as np
import pytest

from pcclust.cli import rri
from pcclust.cli.main import main

RUN = """
import os, pathlib, signal, sys
from pcclust.cli import rri
from pcclust.cli.main import main

rri.POINTS_PER_BATCH = 25
left, replace = int(sys.argv[1]), pathlib.Path.replace

def counted(self, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

pathlib.Path.replace = counted
main(["rri", *sys.argv[2:]])
"""


def run(kill_at, *arguments):
    command = [sys.executable, "-c", RUN, str(kill_at), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("options", [["--out", "f.npz"], ["--out", "f", "--format", "ply"]])
def test_killed_again_and_again(tmp_path, options, monkeypatch):
    np.save(tmp_path / "many.npy", np.random.default_rng(0).normal(size=(6, 12, 3)))
    options = [tmp_path / "many.npy", "--k", 5, *options[:1], tmp_path / options[1], *options[2:]]
    out = options[4]
    # The settings are put in place first, then two parts or six clouds, and the whole at last.
    for kill_at in (2, 3):
        killed = run(kill_at, *options, "--resume")
        assert killed.returncode == -9, killed.stderr
        assert not out.exists()
    finished = run(0, *options, "--resume")
    assert finished.returncode == 0, finished.stderr
    assert not (tmp_path / f"{out.name}.partial").exists()
    options[4] = tmp_path / f"whole{out.suffix}"
    monkeypatch.setattr(rri, "POINTS_PER_BATCH", 25)
    with pytest.raises(SystemExit):
        main(["rri", *map(str, options)])
    check_equal(out, options[4])


def check_equal(resumed, whole):
    if whole.is_file():
        assert resumed.read_bytes() == whole.read_bytes()
        return
    names = [sorted(path.name for path in folder.iterdir()) for folder in (resumed, whole)]
    assert names[0] == names[1]
    for path in whole.glob("*.ply"):
        # Clouds of a batch that was cut short are described in another batch, where the processor
        # rounds trigonometric functions differently.
        np.testing.assert_allclose(numbers(resumed / path.name), numbers(path), rtol=1e-5)


def numbers(path):
    return np.frombuffer(path.read_bytes().partition(b"end_header\n")[2], np.float32)
