import random
import signal
import subprocess
import sys
import time

from pcclust.training import RunFolder, fit
from tests.training.tiny_method import TinyMethod, log


def stamp(folder):
    checkpoint = folder / "run" / "checkpoint.pt"
    return checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0


def test_killed_at_random_moments_it_has_the_same_bits(tmp_path):
    whole = TinyMethod(epochs=10, seed=3)
    fit(whole, RunFolder(tmp_path / "whole"))
    command = [sys.executable, "-m", "tests.training.tiny_method", tmp_path / "run", "10"]
    command = [*map(str, command), "0.001", "norm"]
    generator, begun = random.Random(0), []
    for _ in range(3):
        before = stamp(tmp_path)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            begun.append(process.stdout.readline())
            while stamp(tmp_path) == before:  # so that each one gets further
                time.sleep(0.005)
            time.sleep(generator.uniform(0, 0.3))
            process.kill()
        assert process.returncode == -signal.SIGKILL
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    begun.append(done.stdout.splitlines()[0])
    assert "complete=True" in done.stdout
    assert len(set(begun)) == 4, begun
    weights = "weights.safetensors"
    resumed, uninterrupted = tmp_path / "run", tmp_path / "whole"
    assert (resumed / weights).read_bytes() == (uninterrupted / weights).read_bytes()
    assert log(resumed) == log(uninterrupted)
    assert not list(resumed.glob(".*.tmp"))
