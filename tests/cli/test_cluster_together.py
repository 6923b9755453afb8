"""`pcclust cluster` of features that are read in pieces, as a user runs it, in this process."""

import json

import numpy as np
import pytest

from pcclust.cli.main import main
from pcclust.distributed import group
from tests.distributed.test_kmeans import blobs
from tests.distributed.test_rows import write_shards


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["cluster", *map(str, arguments)])
    return int(stopped.value.code)


@pytest.fixture
def shards(tmp_path):
    return write_shards(tmp_path / "shards", [300, 0, 700], blobs(1000, width=6))


def test_shards_are_clustered_and_told(tmp_path, shards, capsys):
    assert run(shards, "--clusters", 5, "--out", tmp_path / "out", "--device", "cpu") == 0
    said = capsys.readouterr()
    assert f"{shards}: 1,000 features of 6, float32" in said.out
    assert "5 clusters of 1,000 features in" in said.out
    assert "Traceback" not in said.err
    assert sum(json.loads((tmp_path / "out" / "clusters.json").read_text())["sizes"]) == 1000
    assert np.load(tmp_path / "out" / "centers.npy").shape == (5, 6)
    assert run(shards, "--clusters", 5, "--out", tmp_path / "out", "--device", "cpu") == 0
    assert run(shards, "--clusters", 6, "--out", tmp_path / "out", "--device", "cpu") == 1
    assert "holds clusters of other features" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "how many clusters? Features that are read in pieces need --clusters INT"),
        (["--clusters", "2-9"], "how many clusters?"),
        (["--clusters", 5, "--method", "ward"], "--method: features that are read in pieces"),
        (["--clusters", 5, "--whiten", 3, "--l2", "yes"], "--whiten, --l2: features that are"),
    ],
)
def test_what_needs_memory_is_refused(tmp_path, shards, capsys, options, message):
    assert run(shards, *options, "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err


def test_fewer_rows_than_clusters(tmp_path, shards, capsys):
    assert run(shards, "--clusters", 1001, "--out", tmp_path / "out") == 1
    assert "--clusters 1,001 exceeds the 1,000 rows: ask for fewer" in capsys.readouterr().err


def test_torchrun_without_gloo(tmp_path, shards, capsys, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    monkeypatch.setattr(group.distributed, "is_backend_available", lambda backend: False)
    assert run(shards, "--clusters", 5, "--out", tmp_path / "out", "--device", "cpu") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "is built without gloo, by which processes on cpu speak with each other" in said
