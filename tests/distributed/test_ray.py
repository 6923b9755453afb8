"""Shards by a Ray cluster of this machine; its start alone takes seconds."""

import dataclasses
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from pcclust.distributed import ray_engine
from pcclust.distributed.describers import EmbedDescriber, RRIDescriber
from pcclust.distributed.ray_engine import ShardActor
from pcclust.distributed.store import StoreError
from pcclust.nn import DGCNN
from pcclust.nn.weights import save_weights
from tests.distributed.jobs import contents, run

SETTINGS = {"k": 16, "channels": [64, 64], "embedding": 128}


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Returns a command about 40 shapes in 20 shards, of which one cannot be read."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    card = {"model": "dgcnn", "model_kwargs": SETTINGS, "class_names": [], "num_points": 512}
    save_weights(tmp_path, DGCNN(**SETTINGS), card)
    generator = np.random.default_rng(0)
    for at in range(39):
        np.save(f"{at:02d}.npy", generator.normal(size=(512, 3)))
    Path("05.off").write_text("OFF\n")
    return ["0*.*", "*.npy", "--weights", tmp_path, "--batch-size", 2, "--shards", 20, "--out"]


def killed_worker(folder, found):
    """Kills a worker of Ray of this process once there is a shard."""
    while not list(folder.glob("shard-*")):
        time.sleep(0.005)
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            working = status.read_bytes().startswith(b"ray::MapWorker")
        except OSError:  # it has just ended
            continue
        if working and os.getpid() in ancestors(int(status.parent.name)):
            os.kill(int(status.parent.name), signal.SIGKILL)
            found.append(int(status.parent.name))
            return


def ancestors(process):
    found = []
    while process > 1:
        stat = Path(f"/proc/{process}/stat").read_text()
        process = int(stat.rpartition(")")[2].split()[1])
        found.append(process)
    return found


@pytest.mark.slow
def test_two_workers_one_of_which_is_killed_make_the_bytes_of_one(tmp_path, command, capsys):
    ray = pytest.importorskip("ray", reason="Ray is the extra pcclust[ray]")
    assert run("embed", *command, "one") == 1
    said = capsys.readouterr()
    killed = []
    killer = threading.Thread(target=killed_worker, args=(tmp_path / "two", killed), daemon=True)
    os.environ["PYTHONPATH"] = str(Path(ray_engine.__file__).parents[2])
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    try:
        killer.start()
        assert run("embed", *command, "two", "--engine", "ray") == 1
    finally:
        ray.shutdown()
    assert len(killed) == 1
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    told = capsys.readouterr()
    assert told.err.splitlines()[-2:] == said.err.splitlines()[-2:]
    assert "05.off" in told.err
    assert "39 shapes in 20 shards; " in told.out


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_said(command, capsys):
    pytest.importorskip("ray", reason="Ray is the extra pcclust[ray]")
    assert run("embed", *command, "s", "--engine", "ray", "--address", "127.0.0.1:1") == 1
    assert "no Ray cluster is at 127.0.0.1:1 (" in capsys.readouterr().err


class Failing:
    """Stands for a maker of shards that fails."""

    def __init__(self, error):
        self.error = error

    def make(self, shard):
        raise self.error


@pytest.mark.parametrize(
    ("error", "fault", "stopping"),
    [
        (StoreError("the store"), "the store", ""),
        (ValueError("the model fails"), "", "the model fails"),
        (OSError("full"), "", "full"),
    ],
)
def test_an_actor_tells_what_costs_a_shard_from_what_all_will_meet(error, fault, stopping):
    actor = ShardActor(None, ".", ray_engine.__version__)
    actor._make = Failing(error).make
    told = actor({"shard": np.array([7])})
    assert {name: value.item() for name, value in told.items()} == {
        "shard": 7,
        "rows": 0,
        "fault": fault,
        "error": stopping,
    }


def test_a_worker_of_another_version_says_so():
    told = ShardActor(None, ".", "0.0.1")({"shard": np.array([7])})
    assert (
        f"has pcclust {ray_engine.__version__}, and 0.0.1 asks it: install one version everywhere"
    ) in told["error"].item()


def test_a_worker_with_a_gpu_asks_the_encoder_there():
    """The driver may have none, and the features are of the same job."""
    here = EmbedDescriber(
        weights="w", weights_sha256="", num_points=24, points=False, seed=0,
        precision="float32", batch_size=2, dtype="float32", device=None,
    )  # fmt: skip
    assert (here.device, here.on_gpu().device) == (None, "cuda")
    assert dataclasses.replace(here, device="cuda:1").on_gpu().device == "cuda:1"
    assert here.on_gpu().settings() == here.settings()
    points = RRIDescriber(k=4, num_points=None, seed=0, dtype="float32")
    with pytest.raises(ValueError, match="pcclust rri --shards computes on processors: leave"):
        points.on_gpu()
