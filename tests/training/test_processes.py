import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from pcclust.training import RunFolder, fit
from tests.training.tiny_method import TinyMethod, log

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def torchrun(processes, *arguments, restarts=0):
    """Returns the command that trains the tiny method in several processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    # Else they look for each other under the name that a resolver has for this machine.
    command += ["--local-addr=127.0.0.1", f"--nproc-per-node={processes}"]
    command += [f"--max-restarts={restarts}", "--monitor-interval=0.1"]
    return [*command, "-m", "tests.training.tiny_method", *map(str, arguments)]


def weights(method, run):
    """Returns the parameters of a run that is complete."""
    fit(method, RunFolder(run), resume=True)
    return dict(method.model.named_parameters())


def close(one, other):
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-6)


def test_parts_are_the_whole_up_to_rounding(tmp_path):
    settings = {"norm": False, "epochs": 2, "seed": 3, "batch_size": 8}
    whole = weights(TinyMethod(**settings), tmp_path / "1")
    for parts in (2, 4):
        close(weights(TinyMethod(**settings, accumulate=parts), tmp_path / f"{parts}"), whole)
    losses = [line["loss"] for line in log(tmp_path / "1") if "loss" in line]
    for parts in (2, 4):
        said = [line["loss"] for line in log(tmp_path / f"{parts}") if "loss" in line]
        assert said == pytest.approx(losses, rel=1e-4)


def test_a_batch_that_parts_do_not_share_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a batch of 8 shapes cannot be shared by 1 × 3 parts"):
        fit(TinyMethod(batch_size=8, accumulate=3), RunFolder(tmp_path / "a"))
    with pytest.raises(ValueError, match=r"leaves a single shape to each of 1 × 8 parts"):
        fit(TinyMethod(batch_size=8, accumulate=8), RunFolder(tmp_path / "b"))


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_are_parts_of_one_process(tmp_path, processes):
    """With BatchNorm's statistics and dropout, which are of a part."""
    settings = {"epochs": 2, "seed": 3, "batch_size": 8}
    one = weights(TinyMethod(**settings, accumulate=processes), tmp_path / "one")
    command = torchrun(processes, tmp_path / "many", "2", "5", "norm", "8")
    subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=True)
    close(weights(TinyMethod(**settings), tmp_path / "many"), one)


@pytest.mark.slow
def test_a_process_that_is_killed_changes_no_bit(tmp_path):
    command = torchrun(2, tmp_path / "whole", "10", "5", "norm")
    subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=True)
    generator, killed = random.Random(0), []
    command = torchrun(2, tmp_path / "run", "10", "0.001", "norm", restarts=10)
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=ENVIRONMENT) as process:
        seen = 0
        while process.poll() is None:
            time.sleep(generator.uniform(0, 0.2))
            stamp = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
            alive = [pid for pid in workers(process.pid) if pid not in killed]
            if len(killed) < 3 and stamp > seen and len(alive) == 2:
                killed.append(generator.choice(alive))
                os.kill(killed[-1], signal.SIGKILL)
                seen = time.time_ns()
    assert process.returncode == 0
    assert len(killed) == 3
    for name in ("weights.safetensors", "weights.json"):
        assert (tmp_path / "run" / name).exists()
    kept = (tmp_path / "run" / "weights.safetensors").read_bytes()
    assert kept == (tmp_path / "whole" / "weights.safetensors").read_bytes()
    assert log(tmp_path / "run") == log(tmp_path / "whole")


def workers(agent):
    """Returns the processes that torchrun started."""
    children = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
    lines = {child: Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return [int(child) for child, line in lines.items() if b"tiny_method" in line]


def test_two_processes_are_as_one_up_to_rounding(tmp_path):
    one = TinyMethod(norm=False, epochs=2, seed=3)
    fit(one, RunFolder(tmp_path / "one"))
    command = torchrun(2, tmp_path / "two", "2", "5", "plain")
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("started") == 1  # callbacks are told in one process
    two = TinyMethod(norm=False, epochs=2, seed=3)
    fit(two, RunFolder(tmp_path / "two"), resume=True)  # is complete: reads the weights
    for name, value in one.model.state_dict().items():
        torch.testing.assert_close(two.model.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    assert len(log(tmp_path / "two")) == len(log(tmp_path / "one"))
    for a, b in zip(log(tmp_path / "one"), log(tmp_path / "two"), strict=True):
        assert a == pytest.approx(b, rel=1e-4)
