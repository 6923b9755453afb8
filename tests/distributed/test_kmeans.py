import numpy as np
import pytest
import torch

from pcclust.distributed import share
from pcclust.distributed.group import Alone
from pcclust.distributed.kmeans import Settings, kmeans
from pcclust.distributed.rows import ArrayRows
from pcclust.distributed.share import Share
from tests.distributed.threads import in_threads


def blobs(count, width=8, clusters=12, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(clusters, width)) * 3
    rows = middles[rng.integers(clusters, size=count)] + rng.normal(size=(count, width))
    return rows.astype(dtype)


def clustered(rows, processes=1, clusters=10, state=None, keep=lambda state: None, **settings):
    def work(group):
        mine = Share(ArrayRows(rows), group, lambda rows: None)
        found = kmeans(mine, Settings(clusters, **settings), state, keep)
        return found, mine.labels.numpy()

    if processes == 1:
        return work(Alone())
    parts = in_threads(processes, work)
    return parts[0][0], np.concatenate([labels for _, labels in parts])


def same(one, other):
    (a, labels), (b, others) = one, other
    assert a.centers.numpy().tobytes() == b.centers.numpy().tobytes()
    assert (labels == others).all()
    assert (a.inertia, a.iterations) == (b.inertia, b.iterations)
    assert torch.equal(a.sizes, b.sizes)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kept", [True, False])
def test_any_number_of_processes_has_the_same_bits(monkeypatch, dtype, kept):
    if not kept:
        monkeypatch.setattr(share, "KEPT_BYTES", 0)
    rows = blobs(9000, dtype=dtype)
    one = clustered(rows)
    for processes in (2, 4):
        same(one, clustered(rows, processes))
    monkeypatch.setattr(share, "KEPT_BYTES", 1 << 29)
    same(one, clustered(rows))
