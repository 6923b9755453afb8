import os
import subprocess
import sys

import pytest
import torch

from pcclust.training import RunFolder, fit
from tests.training.tiny_method import TinyMethod, log


def test_two_processes_are_as_one_up_to_rounding(tmp_path):
    one = TinyMethod(norm=False, epochs=2, seed=3)
    fit(one, RunFolder(tmp_path / "one"))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    # Else they look for each other under the name that a resolver has for this machine.
    command += ["--local-addr=127.0.0.1"]
    command += ["-m", "tests.training.tiny_method", str(tmp_path / "two"), "2", "5", "plain"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("started") == 1  # callbacks are told in one process
    two = TinyMethod(norm=False, epochs=2, seed=3)
    fit(two, RunFolder(tmp_path / "two"), resume=True)  # is complete: reads the weights
    for name, value in one.model.state_dict().items():
        torch.testing.assert_close(two.model.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    assert len(log(tmp_path / "two")) == len(log(tmp_path / "one"))
    for a, b in zip(log(tmp_path / "one"), log(tmp_path / "two"), strict=True):
        assert a == pytest.approx(b, rel=1e-4)
