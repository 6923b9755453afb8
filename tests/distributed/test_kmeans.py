import numpy as np
import pytest
import torch

from pcclust import KMeans
from pcclust.distributed import kmeans as module
from pcclust.distributed import share
from pcclust.distributed.group import Alone
from pcclust.distributed.kmeans import Settings, kmeans
from pcclust.distributed.rows import ArrayRows
from pcclust.distributed.share import Share
from pcclust.ops._registry import use_backend
from tests.distributed.threads import in_threads


def blobs(count, width=8, clusters=12, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(clusters, width)) * 3
    rows = middles[rng.integers(clusters, size=count)] + rng.normal(size=(count, width))
    return rows.astype(dtype)


def clustered(rows, processes=1, clusters=10, state=None, keep=lambda state: None, **settings):
    def work(group):
        mine = Share(ArrayRows(rows), group, lambda rows: None)
        settings.setdefault("max_iter", 12)
        found = kmeans(mine, Settings(clusters, **settings), state, keep)
        return found, mine.labels.numpy(), mine.distances.numpy()

    if processes == 1:
        return work(Alone())
    parts = in_threads(processes, work)
    return parts[0][0], *(np.concatenate([part[i] for part in parts]) for i in (1, 2))


def same(one, other):
    (a, *rows), (b, *others) = one, other
    assert a.centers.numpy().tobytes() == b.centers.numpy().tobytes()
    assert all((row == other).all() for row, other in zip(rows, others, strict=True))
    assert (a.inertia, a.iterations) == (b.inertia, b.iterations)
    assert torch.equal(a.sizes, b.sizes)


def check(rows, solution):
    """Compares what was found with all distances, computed in float64."""
    found, labels, _ = solution
    rows, centers = rows.astype(np.float64), found.centers.double().numpy()
    squares = ((rows[:, None] - centers) ** 2).sum(axis=2)
    nearest = squares.min(axis=1)
    np.testing.assert_allclose(
        squares[np.arange(len(rows)), labels], nearest, rtol=1e-5, atol=1e-5 * nearest.max()
    )
    assert found.inertia == pytest.approx(nearest.sum(), rel=1e-5)
    assert found.sizes.tolist() == np.bincount(labels, minlength=len(centers)).tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_number_of_processes_has_the_same_bits(monkeypatch, dtype):
    rows = blobs(9000, dtype=dtype)
    one = clustered(rows)
    check(rows, one)
    for processes in (2, 4):
        same(one, clustered(rows, processes))
    monkeypatch.setattr(share, "KEPT_BYTES", 0)  # read anew in every pass
    same(one, clustered(rows, 3))


def test_the_twin_has_the_same_bits_too():
    rows = blobs(5000, width=24)
    with use_backend("torch"):
        same(clustered(rows), clustered(rows, 3))


def test_more_processes_than_chunks():
    rows = blobs(1500)
    same(clustered(rows), clustered(rows, 4))


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e25])
def test_rows_of_any_magnitude(scale):
    rows = blobs(3000)
    far = (rows * np.float32(scale)).astype(np.float32)
    found, labels, _ = clustered(far)
    check(far.astype(np.float64) / scale, (rescaled(found, 1 / scale), labels, None))
    same((found, labels), clustered(far, 2)[:2])


def rescaled(found, factor):
    centers, inertia = found.centers.double() * factor, found.inertia * factor**2
    return module.Found(centers, found.sizes, inertia, found.iterations)


def test_a_column_far_out_does_not_blur_the_others():
    rows = blobs(3000)
    rows[:, 3] = rows[:, 3] * 1e-4
    rows[7, 5] = 1e6
    check(rows, clustered(rows))


class KilledError(Exception):
    pass


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_job_goes_on_to_the_same_bits(seed):
    rows = blobs(5000)
    states = []
    whole = clustered(rows, 2, keep=states.append)
    rng = np.random.default_rng(seed)
    state, count = None, 0
    for _ in range(3):
        left = int(rng.integers(1, len(states) // 6 + 2))
        reached = [state]

        def keep(state, reached=reached, left=left):
            reached.append(state)
            if len(reached) > left:
                raise KilledError

        with pytest.raises(KilledError):
            clustered(rows, int(rng.integers(1, 4)), state=state, keep=keep)
        state, count = reached[-1], count + 1
    same(whole, clustered(rows, int(rng.integers(1, 4)), state=state))


def test_empty_clusters_split_the_heaviest():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(4000, 3)), rng.normal(size=(50, 3)) + 500])
    rows = rows.astype(np.float32)
    far = torch.tensor([[0.0, 0, 0], [500.0, 500, 500], [9e3, 0, 0], [0, 9e3, 0]])
    state = module.State([], far)
    one = clustered(rows, clusters=4, state=state)
    assert (one[0].sizes > 0).all()
    assert sorted(one[0].sizes.tolist())[0] == 50  # the far ones are no donors
    check(rows, one)
    same(one, clustered(rows, 3, clusters=4, state=state))


@pytest.mark.filterwarnings("error")
def test_fewer_different_rows_than_clusters():
    rows = np.repeat(blobs(3, width=4), 1000, axis=0)
    one = clustered(rows, clusters=6)
    assert (one[0].sizes > 0).sum() == 3
    assert one[0].inertia == 0
    same(one, clustered(rows, 2, clusters=6))


def test_as_many_clusters_as_rows():
    rows = blobs(40)
    one = clustered(rows, clusters=40)
    assert one[0].inertia == 0
    same(one, clustered(rows, 2, clusters=40))


def test_fewer_rows_than_clusters_are_refused():
    with pytest.raises(ValueError, match="--clusters 11 exceeds the 10 rows: ask for fewer"):
        clustered(blobs(10), clusters=11)


def test_nan_in_one_process_is_told_by_the_first():
    rows = blobs(5000)
    rows[4321, 2] = np.nan
    for processes in (1, 3):
        with pytest.raises((ValueError, RuntimeError), match="array: row 4,321 holds NaN, inf"):
            clustered(rows, processes)


def test_as_good_as_kmeans_in_memory():
    rows = blobs(8000, width=16, clusters=60)
    ours = [clustered(rows, clusters=30, seed=seed)[0].inertia for seed in range(3)]
    known = [KMeans(30, random_state=seed).fit(rows).inertia_ for seed in range(3)]
    assert np.mean(ours) < 1.02 * np.mean(known)


def test_the_seed_decides():
    rows = blobs(3000)
    one, other = clustered(rows, seed=1), clustered(rows, seed=2)
    assert not torch.equal(one[0].centers, other[0].centers)
