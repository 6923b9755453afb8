"""The leaderboard: a report that is there is not made again; the page says what is missing."""

import json

import numpy as np
import pytest

from benchmarks import clustering
from benchmarks.clustering import Settings, main, run_row
from benchmarks.clustering_features import Sides
from benchmarks.clustering_page import page
from benchmarks.clustering_rows import ROWS, Row
from pcclust.evaluate.posed_features import Posed
from pcclust.training import Outcome
from tests.methods.families import write_families

SCAN = {"scan": {"epochs": 2, "least_steps": 6, "batch_size": 10}}


@pytest.fixture
def sides(monkeypatch):
    """Ten separate blobs for ten classes, of both splits."""
    labels = np.arange(60) % 10

    def blobs(seed):
        noise = np.random.default_rng(seed).normal(size=(60, 12))
        return (noise + 30 * np.eye(12)[labels]).astype(np.float32)

    found = Sides(Posed(blobs(0), [blobs(1)]), Posed(blobs(2), [blobs(3)]), (labels, labels))
    monkeypatch.setattr(clustering, "sides_of", lambda *given: found)
    return found


def test_a_report_has_all_measures_and_the_clusters(sides, tmp_path):
    told = json.loads(json.dumps(run_row(ROWS[0], "modelnet10", 3, tmp_path)))
    assert (told["row"], told["seed"], len(told["clusters"])) == ("kmeans", 3, 60)
    assert set(told["measures"]) == {"fitted", "fitted_turned", "test", "test_turned"}
    assert told["measures"]["test_turned"]["accuracy"] == 1
    assert told["minutes"] >= 0


def test_a_method_learns_from_the_features_of_training_shapes(sides, tmp_path):
    row = Row("scan", "SCAN", 1, "scan", SCAN)
    told = run_row(row, "modelnet10", 0, tmp_path)
    assert len(told["clusters"]) == 60
    assert (tmp_path / "runs/modelnet10/scan-0/weights.safetensors").exists()
    again = run_row(row, "modelnet10", 0, tmp_path)
    assert again["clusters"] == told["clusters"]
    assert told["minutes"] > 0
    assert again["minutes"] is None  # of a run that was there already


def test_features_of_an_encoder_are_clustered_by_what_the_row_says(sides, tmp_path, monkeypatch):
    monkeypatch.setattr(clustering, "trained_sides", lambda *given: sides)
    tiny = {"model_kwargs": {"k": 4, "channels": [8], "embedding": 16}, "num_points": 32}
    tiny |= {"dataset": str(write_families(tmp_path / "shapes.h5", 12)), "epochs": 1}
    settings = {"model": "dgcnn", "batch_size": 6} | tiny
    row = Row("alike", "k-means of SimCLR", 1, "simclr", settings, "", shapes=True, then="kmeans")
    told = run_row(row, "modelnet10", 0, tmp_path)
    assert told["measures"]["test_turned"]["accuracy"] == 1
    assert (tmp_path / "runs/modelnet10/alike-0/weights.safetensors").exists()


def test_a_run_that_is_interrupted_is_no_row(sides, tmp_path, monkeypatch):
    stopped = Outcome(complete=False, interrupted=True, epoch=1, results={})
    monkeypatch.setattr(clustering.Pipeline, "run", lambda self: stopped)
    with pytest.raises(SystemExit, match="scan-0 was interrupted: the same command goes on"):
        run_row(Row("scan", "SCAN", 1, "scan", SCAN), "modelnet10", 0, tmp_path)


def test_what_is_there_is_not_run_again_and_the_page_names_what_is_not(
    sides, tmp_path, monkeypatch
):
    monkeypatch.setattr(clustering.torch, "set_num_threads", lambda count: None)
    settings = Settings(tmp_path, rows=("ward", "kmeans"), datasets=("modelnet10",))
    main(settings)
    files = sorted(path.name for path in (tmp_path / "rows/modelnet10").iterdir())
    assert files == [*(f"kmeans-{seed}.json" for seed in range(5)), "ward-0.json"]
    monkeypatch.setattr(clustering, "run_row", None)  # nothing is left to run
    main(settings)
    (tmp_path / "rows/modelnet10/kmeans-4.json").unlink()
    told = json.loads((tmp_path / "rows/modelnet10/ward-0.json").read_text())
    (tmp_path / "rows/modelnet10/ward-0.json").write_text(json.dumps(told | {"minutes": None}))
    text = page(tmp_path)
    assert "| k-means | 4 | 100.0 ± 0.0 |" in text
    assert "| Ward | 1 | 100.0 |" in text
    assert "Fewer seeds than planned: k-means (4 of 5)." in text
    assert "Not run, for want of time: self-tuning spectral, spectral," in text


def test_no_row_is_begun_when_the_time_is_up(sides, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(clustering.torch, "set_num_threads", lambda count: None)
    main(Settings(tmp_path, minutes=-1, rows=("ward",), datasets=("modelnet10",)))
    assert not (tmp_path / "rows").exists()
    assert "The time is up before" in capsys.readouterr().out


def test_unknown_rows_are_named(tmp_path):
    with pytest.raises(SystemExit, match="there is no row 'k-means': kmeans"):
        main(Settings(tmp_path, rows=("k-means",)))
