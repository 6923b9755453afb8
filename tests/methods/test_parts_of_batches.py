"""Several processes: each reads its part of a batch, and no other shape."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pcclust.data import PointDataset, held
from pcclust.data.storage import MemoryStorage
from pcclust.methods.contrastnet import ContrastNet, ContrastNetConfig
from pcclust.methods.pica import PICA
from pcclust.methods.pica import RECIPE as PICA_RECIPE
from pcclust.methods.pseudo_label_network import PseudoLabelConfig, PseudoLabelNetwork
from pcclust.methods.simclr import RECIPE as SIMCLR_RECIPE
from pcclust.methods.simclr import SimCLR
from tests.methods.families import families, write_families

ENCODER = {"model": "dgcnn", "model_kwargs": {"k": 4, "channels": [8], "embedding": 16}}
TINY = ENCODER | {"dataset": "x", "num_points": 32, "batch_size": 8, "workers": 2}


class Watched(MemoryStorage):
    """Tells which rows were read, and is no memory."""

    in_memory = False

    def __init__(self, points):
        super().__init__(points)
        self.rows = []

    def read(self, rows):
        self.rows.append(rows)
        return super().read(rows)


def contrastnet(shapes, **settings):
    given = TINY | {"part_points": 12, "crop": 1.0, "num_planes": 4} | settings
    return ContrastNet(ContrastNetConfig(**given), shapes)


def pseudo_labels(shapes):
    labels = torch.arange(len(shapes)) % 4
    return PseudoLabelNetwork(PseudoLabelConfig(**TINY, num_clusters=4), shapes, labels)


METHODS = {
    "simclr": lambda shapes: SimCLR(SIMCLR_RECIPE.preset(**TINY, projection=8, crop=0.7), shapes),
    "pica": lambda shapes: PICA(PICA_RECIPE.preset(**TINY, num_clusters=3), shapes),
    "contrastnet": contrastnet,
    "pseudo-labels": pseudo_labels,
}


def batches(make, part):
    """Returns the parts of all batches of an epoch, and the rows that were read for them."""
    storage = Watched(families(40, num_points=32)[0])
    method = make(PointDataset(storage))
    method.part, storage.rows = part, []
    index, count = part
    found = []
    for batch in method.batches(1, 0):
        for value in batch:
            if isinstance(value, torch.Tensor):
                size = len(value) // count
                found.append(value[index * size : (index + 1) * size])
    return found, np.sort(torch.cat(storage.rows).numpy())


@pytest.fixture(autouse=True)
def _nothing_fits_memory(monkeypatch):
    monkeypatch.setattr(held, "MEMORY_LIMIT", 0)


@pytest.mark.parametrize("name", METHODS)
def test_parts_are_those_of_a_whole_batch_to_the_bit(name):
    whole, rows = batches(METHODS[name], (0, 1))
    parts, read = zip(*(batches(METHODS[name], (i, 2)) for i in range(2)), strict=True)
    for all_of_it, *some in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat(some), all_of_it)
    # Each has read what it learns from, once, and nothing else.
    assert [len(one) for one in read] == [len(rows) // 2] * 2
    assert np.array_equal(np.sort(np.concatenate(read)), rows)


def test_parts_of_any_size_are_padded_as_those_of_the_whole_batch():
    def make(shapes):
        return contrastnet(shapes, part_points=None)

    whole, _ = batches(make, (0, 1))
    halves = [batches(make, (i, 2))[0] for i in (0, 1)]
    for all_of_it, *some in zip(whole, *halves, strict=True):
        assert torch.equal(torch.cat(some), all_of_it)


def pretrained(out, *program, accumulate=1):
    """Trains SimCLR for two epochs in new processes, and returns the file of its weights."""
    command = [*program, "simclr", "shapes.h5", "--out", out, "--epochs", 2, "--batch-size", 8]
    command += ["--num-points", 32, "--projection", 8, "--accumulate", accumulate, "--seed", 3]
    command += ["--model", "dgcnn", "--model-kwargs", "k=4", "channels=[8]", "embedding=16"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return Path(out) / "weights.safetensors"


@pytest.mark.slow
def test_two_processes_that_hold_nothing_learn_what_those_that_hold_all_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    write_families(Path("shapes.h5"), 40, num_points=32)
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    two += ["--local-addr=127.0.0.1", "--nproc-per-node=2"]
    plain = ["-m", "pcclust", "pretrain"]
    here = pretrained("one", sys.executable, *plain, accumulate=2)
    known = pretrained("held", *two, *plain)
    found = pretrained(
        "read", *two, Path(__file__).with_name("unheld_pretrain.py"), ".", "pretrain"
    )
    assert found.read_bytes() == known.read_bytes()
    weights = load_file(found)
    parameters = [name for name in weights if not name.endswith(("_mean", "_var", "_tracked"))]
    assert len(parameters) > 5
    for name, value in load_file(here).items():
        if name in parameters:  # the statistics of BatchNorm saw two parts one after the other
            torch.testing.assert_close(weights[name], value, rtol=1e-4, atol=1e-6)
    read = [json.loads(Path(f"rows-{i}.json").read_text()) for i in range(2)]
    assert [len(rows) for rows in read] == [2 * 5 * 4] * 2  # of two epochs of five batches, half
    for epoch in range(2):
        both = [rows[20 * epoch : 20 * epoch + 20] for rows in read]
        assert sorted(both[0] + both[1]) == list(range(40))
