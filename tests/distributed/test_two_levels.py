import json

import numpy as np
import pytest

from pcclust.distributed import cluster_job, share, two_levels
from pcclust.distributed.cluster_job import cluster_folder
from pcclust.distributed.group import Alone
from pcclust.distributed.kmeans import Settings
from pcclust.distributed.two_levels import apportioned, own_clusters
from tests.distributed.test_cluster_job import contents
from tests.distributed.test_kmeans import blobs
from tests.distributed.test_rows import write_shards
from tests.distributed.threads import in_threads

SETTINGS = Settings(50, max_iter=6)
FEATURES = blobs(4000, width=5)


@pytest.fixture
def shards(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_job, "MANY", 50)
    return str(write_shards(tmp_path / "shards", [1500, 2500], FEATURES))


def test_two_levels_have_the_same_bits_for_any_number_of_processes(tmp_path, shards, monkeypatch):
    cluster_folder(shards, tmp_path / "1", SETTINGS, Alone())
    monkeypatch.setattr(share, "KEPT_BYTES", 20_000)  # a few coarse clusters at a time
    for count in (2, 3):
        out = tmp_path / str(count)
        in_threads(count, lambda group, out=out: cluster_folder(shards, out, SETTINGS, group))
        assert contents(out) == contents(tmp_path / "1")


def test_rows_have_the_nearest_center_of_their_coarse_cluster(tmp_path, shards, monkeypatch):
    pq = pytest.importorskip("pyarrow.parquet")
    result = cluster_folder(shards, tmp_path / "two", SETTINGS, Alone())
    centers = np.load(tmp_path / "two" / "centers.npy")
    table = pq.read_table(tmp_path / "two" / "labels")
    labels, distances = (table.column(name).to_numpy() for name in ("cluster", "distance"))
    np.testing.assert_allclose(
        distances, ((FEATURES - centers[labels]) ** 2).sum(axis=1), rtol=1e-3, atol=1e-6
    )
    assert result["sizes"] == np.bincount(labels, minlength=50).tolist()
    assert result["inertia"] == pytest.approx(distances.sum(dtype=np.float64))
    assert len(centers) == 50
    assert not (tmp_path / "two" / "fine").exists()
    monkeypatch.undo()
    whole = cluster_folder(shards, tmp_path / "one", SETTINGS, Alone())
    assert result["inertia"] < 1.1 * whole["inertia"]
    assert json.loads((tmp_path / "two" / "clusters.json").read_text())["clusters"] == 50


def test_coarse_clusters_that_are_done_are_not_done_again(tmp_path, shards, monkeypatch):
    cluster_folder(shards, tmp_path / "whole", SETTINGS, Alone())
    done, clustered = [], two_levels._clustered

    def killed(rows, clusters, settings):
        done.append(clusters)
        if len(done) == 5:
            raise KeyboardInterrupt
        return clustered(rows, clusters, settings)

    monkeypatch.setattr(two_levels, "_clustered", killed)
    with pytest.raises(KeyboardInterrupt):
        cluster_folder(shards, tmp_path / "out", SETTINGS, Alone())
    cluster_folder(shards, tmp_path / "out", SETTINGS, Alone())
    assert len(done) == 8 + 1  # of eight coarse clusters one was begun twice
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_clusters_are_apportioned_by_rows():
    for sizes, clusters in (([5, 900, 1, 94], 100), ([1] * 30 + [970], 40), ([10, 10], 20)):
        counts = apportioned(sizes, clusters)
        assert sum(counts) == clusters
        assert all(1 <= n <= size for n, size in zip(counts, sizes, strict=True))
    assert apportioned([0, 100], 7) == [0, 7]


def test_coarse_clusters_are_shared_out():
    for sizes in ([3] * 10, [100, 1, 1], [0, 0, 5]):
        for processes in (1, 2, 5):
            ranges = own_clusters(sizes, processes)
            assert [c for mine in ranges for c in mine] == list(range(len(sizes)))
