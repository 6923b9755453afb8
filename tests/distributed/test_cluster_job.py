import json
from pathlib import Path

import numpy as np
import pytest

from pcclust._lock import OutputLockedError, locked_folder
from pcclust.distributed import cluster_job
from pcclust.distributed.cluster_job import Told, cluster_folder
from pcclust.distributed.group import Alone, PeerError
from pcclust.distributed.kmeans import Settings
from tests.distributed.test_kmeans import blobs
from tests.distributed.test_rows import write_shards
from tests.distributed.threads import in_threads
from tests.test_imports import brought_by

FEATURES = blobs(5000, width=6, dtype=np.float16)
SETTINGS = Settings(8, max_iter=8)


@pytest.fixture
def shards(tmp_path):
    return str(write_shards(tmp_path / "shards", [700, 0, 1800, 2500], FEATURES))


@pytest.fixture(autouse=True)
def _a_checkpoint_each_time(monkeypatch):
    monkeypatch.setattr(cluster_job, "PAUSE", 0)


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def test_any_number_of_processes_writes_the_same_files(tmp_path, shards):
    result = cluster_folder(shards, tmp_path / "1", SETTINGS, Alone())
    assert result == json.loads((tmp_path / "1" / "clusters.json").read_text())
    for count in (2, 3):
        out = tmp_path / str(count)
        in_threads(count, lambda group, out=out: cluster_folder(shards, out, SETTINGS, group))
        assert contents(out) == contents(tmp_path / "1")
    assert not list(tmp_path.rglob("checkpoint*"))


def test_labels_lie_beside_the_names_of_their_shapes(tmp_path, shards):
    pq = pytest.importorskip("pyarrow.parquet")
    cluster_folder(shards, tmp_path / "out", SETTINGS, Alone())
    names = [path.name for path in sorted((tmp_path / "out" / "labels").iterdir())]
    assert names == [path.name for path in sorted(Path(shards).iterdir())]
    table = pq.read_table(tmp_path / "out" / "labels")
    assert table.column("name").to_pylist() == [f"shape {i}" for i in range(5000)]
    centers = np.load(tmp_path / "out" / "centers.npy").astype(np.float64)
    squares = ((FEATURES.astype(np.float64)[:, None] - centers) ** 2).sum(axis=2)
    assert (table.column("cluster").to_numpy() == squares.argmin(axis=1)).all()
    np.testing.assert_allclose(table.column("distance"), squares.min(axis=1), rtol=1e-5)


def test_labels_of_a_file_are_an_array(tmp_path):
    np.save(tmp_path / "features.npy", FEATURES)
    result = cluster_folder(str(tmp_path / "features.npy"), tmp_path / "out", SETTINGS, Alone())
    labels = np.load(tmp_path / "out" / "labels" / "features.npy")
    assert np.bincount(labels, minlength=8).tolist() == result["sizes"]


class KilledError(BaseException):
    pass


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_a_killed_job_ends_with_the_same_files(tmp_path, shards, share):
    whole = cluster_folder(shards, tmp_path / "whole", SETTINGS, Alone())
    iteration = round(share * whole["iterations"])
    assert iteration > 1 or not share

    def killed(group):
        def moved(reached):
            if reached == iteration and group.index == group.count - 1:
                raise KilledError

        cluster_folder(shards, tmp_path / "out", SETTINGS, group, Told(moved=moved))

    with pytest.raises(KilledError):
        in_threads(2, killed)
    assert (tmp_path / "out" / "checkpoint.pt").exists() or iteration == 0
    in_threads(3, lambda group: cluster_folder(shards, tmp_path / "out", SETTINGS, group))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_is_done_is_told_again_and_not_done(tmp_path, shards):
    result = cluster_folder(shards, tmp_path / "out", SETTINGS, Alone())

    def began(text):
        raise AssertionError(text)

    again = cluster_folder(shards, tmp_path / "out", SETTINGS, Alone(), Told(began=began))
    assert again == result


def test_another_job_of_the_folder_is_refused(tmp_path, shards):
    out = tmp_path / "out"
    cluster_folder(shards, out, SETTINGS, Alone())
    with pytest.raises(ValueError, match="out holds clusters of other features, or made with"):
        cluster_folder(shards, out, Settings(9), Alone())
    with locked_folder(out), pytest.raises(OutputLockedError, match="is being written by process"):
        cluster_folder(shards, out, SETTINGS, Alone())


def test_a_folder_that_one_process_does_not_see(tmp_path, shards):
    def work(group):
        cluster_folder(shards, tmp_path / f"{group.index}", SETTINGS, group)

    with pytest.raises(PeerError, match=r"process 1 does not see .*1 of process 0: give a folder"):
        in_threads(2, work)


def test_processes_that_differ_are_refused(tmp_path, shards):
    np.save(tmp_path / "b.npy", FEATURES)

    def others(group):
        source = shards if group.first else str(tmp_path / "b.npy")
        cluster_folder(source, tmp_path / "out", SETTINGS, group)

    with pytest.raises(ValueError, match=r"process 1 sees features with the hash .* all machines"):
        in_threads(2, others)
    versions = ["0.1.0", "0.1.0", "0.2.0"]
    said = "process 2 runs pcclust 0.2.0, process 0 0.1.0: install one"
    with pytest.raises(ValueError, match=said):
        in_threads(3, lambda g: g.check_same("runs pcclust", versions[g.index], "install one"))
    with pytest.raises(ValueError, match=r"process 1 is asked for Settings\(clusters=9"):
        in_threads(2, lambda g: cluster_folder(shards, tmp_path / "out", Settings(8 + g.index), g))


@pytest.mark.parametrize("processes", [1, 2])
def test_rows_that_cannot_be_clustered(tmp_path, processes):
    rows = FEATURES.copy()
    rows[4700, 1] = np.inf
    folder = write_shards(tmp_path / "shards", [2000, 3000], rows)

    def work(settings):
        in_threads(processes, lambda group: cluster_folder(str(folder), tmp_path, settings, group))

    with pytest.raises((ValueError, PeerError), match=r"shard-00001-of-00002\.parquet: row 2,700"):
        work(SETTINGS)
    with pytest.raises(ValueError, match="--clusters 5,001 exceeds the 5,000 rows: ask for fewer"):
        work(Settings(5001))


def test_the_command_loads_no_library_that_it_does_not_use(shards, tmp_path):
    """Many processes of a machine do it, each with all that it loads."""
    pytest.importorskip("pyarrow", reason="pyarrow is the extra pcclust[shards]")
    arguments = ["cluster", shards, "--clusters", "3", "--out", str(tmp_path / "o")]
    found = brought_by(
        "from pcclust.cli.main import main\n"
        f"try:\n    main({arguments})\n"
        "except SystemExit as stop:\n    assert stop.code == 0, stop.code"
    )
    assert "pyarrow.parquet" in found
    assert found & {"sklearn", "scipy", "pandas", "trimesh", "matplotlib", "accelerate"} == set()


def test_one_that_has_settled_ends_with_what_belongs_to_its_centers(tmp_path, shards):
    settings = Settings(8, max_iter=300, tol=0.0)
    result = cluster_folder(shards, tmp_path / "out", settings, Alone())
    assert result["iterations"] < 300
    centers = np.load(tmp_path / "out" / "centers.npy").astype(np.float64)
    squares = ((FEATURES.astype(np.float64)[:, None] - centers) ** 2).sum(axis=2)
    nearest = squares.argmin(axis=1)
    assert result["sizes"] == np.bincount(nearest, minlength=8).tolist()
    assert result["inertia"] == pytest.approx(squares.min(axis=1).sum(), rel=1e-6)
    for cluster in range(8):
        np.testing.assert_allclose(
            centers[cluster], FEATURES[nearest == cluster].mean(0), atol=2e-3
        )
