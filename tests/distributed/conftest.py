"""What tests of shards share."""

import uuid

import pytest

from pcclust.distributed import store as module
from pcclust.distributed.store import Store
from tests.distributed.faulty import FaultyStore
from tests.distributed.jobs import run, write_shapes, write_weights


@pytest.fixture
def faulty(monkeypatch):
    """Returns a function that makes a store with a fault, and a store without any before that."""
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(FaultyStore, "fault", None)
    store = Store(f"faulty://{uuid.uuid4().hex}")

    def make(fault, times):
        monkeypatch.setattr(FaultyStore, "fault", fault)
        monkeypatch.setattr(FaultyStore, "times", times)
        return store

    return make


@pytest.fixture
def embed(tmp_path, monkeypatch):
    """Returns a function that runs `pcclust embed`, in a folder with 19 shapes in `shapes`."""
    monkeypatch.chdir(tmp_path)
    weights = write_weights(tmp_path)
    write_shapes(tmp_path / "shapes")
    usual = {"weights": weights, "batch-size": 4}

    def command(*arguments, **options):
        given = [("--" + name.replace("_", "-"), value) for name, value in options.items()]
        known = [("--" + name, value) for name, value in usual.items() if name not in options]
        return run("embed", *arguments, *[word for pair in [*known, *given] for word in pair])

    return command
