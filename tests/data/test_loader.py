from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcclust.data import PointDataset, PointLoader, open_dataset
from pcclust.data.hdf5_writer import write_hdf5
from pcclust.data.seeding import seeded_generator
from pcclust.data.transforms import Compose, Jitter, RotateSO3, Scale

AUGMENT = Compose(RotateSO3(), Jitter(), Scale())
COUNT = 5000


@pytest.fixture(scope="module")
def shapes():
    """Shapes whose points say which shape they are of."""
    points = torch.arange(COUNT, dtype=torch.float32).view(-1, 1, 1).expand(COUNT, 4, 3)
    return PointDataset(points.contiguous(), torch.arange(COUNT) % 7, class_names=list("abcdefg"))


@pytest.fixture(scope="module")
def streamed(shapes, tmp_path_factory):
    path = tmp_path_factory.mktemp("loader") / "shapes.h5"
    write_hdf5(
        path,
        shapes.points.numpy().reshape(-1, 50, 4, 3),
        count=COUNT,
        num_points=4,
        names=shapes.names,
        labels=shapes.labels.numpy(),
        class_names=shapes.class_names,
    )
    return open_dataset(path)


def indices(batches):
    return [batch.indices.tolist() for batch in batches]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("world_size", [1, 3])
def test_each_shape_once_per_epoch_over_all_processes(streamed, stream, drop_last, world_size):
    drawn = []
    for rank in range(world_size):
        loader = PointLoader(
            streamed, 64, drop_last=drop_last, rank=rank, world_size=world_size, stream=stream
        )
        batches = indices(loader.epoch(2))
        assert len(batches) == len(loader)
        sizes = {len(batch) for batch in batches}
        assert sizes == {64} if drop_last else max(sizes) == 64
        drawn += [index for batch in batches for index in batch]
    kept = COUNT - COUNT % (64 * world_size) if drop_last else COUNT
    assert len(drawn) == len(set(drawn)) == kept


def test_batches_hold_the_shapes_they_name(streamed):
    for stream in (True, False):
        for batch in PointLoader(streamed, 100, stream=stream, seed=4).epoch(1):
            assert torch.equal(batch.points[:, 0, 0].long(), batch.indices)
            assert torch.equal(batch.labels, batch.indices % 7)


@pytest.mark.parametrize("stream", [False, True])
def test_workers_change_no_bit(streamed, stream):
    def epoch(workers):
        loader = PointLoader(
            streamed, 96, seed=7, transform=AUGMENT, workers=workers, stream=stream
        )
        return list(loader.epoch(3))

    alone = epoch(0)
    for workers in (1, 2, 5):
        for one, other in zip(alone, epoch(workers), strict=True):
            assert torch.equal(one.indices, other.indices)
            assert torch.equal(one.points, other.points)


@pytest.mark.parametrize("stream", [False, True])
def test_an_epoch_can_be_continued(streamed, stream):
    loader = PointLoader(streamed, 64, transform=AUGMENT, stream=stream)
    whole = list(loader.epoch(5))
    for one, other in zip(whole[30:], loader.epoch(5, start=30), strict=True):
        assert torch.equal(one.points, other.points)


def test_epochs_and_seeds_differ_and_repeat(shapes):
    def order(seed, epoch):
        return PointLoader(shapes, 64, seed=seed).order(epoch)

    assert torch.equal(order(0, 1), order(0, 1))
    for other in (order(0, 2), order(1, 1), order(1, 0)):
        assert not torch.equal(order(0, 1), other)
    loader = PointLoader(shapes, 64, seed=0)
    first, second = indices(loader), indices(loader)
    assert first == indices(loader.epoch(0))
    assert second == indices(loader.epoch(1))


def test_streams_belong_to_their_numbers_alone():
    keys = [(0,), (0, 0), (0, 1), (0, 1, 0), (0, 1, 0, 0), (1, 0), (1,)]
    first = {key: float(torch.rand(1, generator=seeded_generator(*key))) for key in keys}
    assert len(set(first.values())) == len(keys)


def test_processes_augment_differently(shapes):
    same = PointDataset(torch.ones(8, 4, 3))
    drawn = [
        next(iter(PointLoader(same, 4, transform=RotateSO3(), rank=rank, world_size=2)))
        for rank in range(2)
    ]
    assert not torch.equal(drawn[0].points, drawn[1].points)
    assert len(shapes) == COUNT


def test_without_shuffling_the_order_is_that_of_the_dataset(streamed):
    batches = indices(PointLoader(streamed, 64, shuffle=False, stream=True))
    assert [index for batch in batches for index in batch] == list(range(COUNT))


def test_streamed_order_is_well_mixed_but_reads_whole_blocks(streamed):
    loader = PointLoader(streamed, 64, stream=True)
    order = loader.order(0)
    window = 32 * 64
    # Blocks are shared between two windows at most where blocks are not full.
    blocks = [set((part // 64).tolist()) for part in torch.split(order, window)]
    assert sum(map(len, blocks)) <= -(-COUNT // 64) + len(blocks)
    # Neighbours in a block do not follow each other.
    assert float(((order[1:] - order[:-1]).abs() == 1).double().mean()) < 0.01
    correlation = np.corrcoef(order.numpy(), np.arange(COUNT))[0, 1]
    assert abs(correlation) < 0.35


def test_streaming_does_not_load(streamed):
    loader = PointLoader(streamed, 64, stream=True)
    next(iter(loader))
    assert not loader.dataset.storage.in_memory
    small = PointLoader(streamed, 64)
    assert not small.stream
    next(iter(small))
    assert small.dataset.storage.in_memory


def test_subsets_stream_only_their_shapes(streamed):
    chosen = streamed.select_classes(["c"])
    loader = PointLoader(chosen, 64, stream=True)
    drawn = torch.cat([batch.points[:, 0, 0] for batch in loader]).long()
    assert sorted(drawn.tolist()) == list(range(2, COUNT, 7))


def test_what_a_transform_raises_arrives(shapes):
    def broken(points, generator):
        raise RuntimeError("no such luck")

    for workers in (0, 2):
        with pytest.raises(RuntimeError, match="no such luck"):
            list(PointLoader(shapes, 64, transform=broken, workers=workers))


def test_leaving_an_epoch_early_leaves_no_thread_behind(shapes):
    import threading

    before = threading.active_count()
    epoch = PointLoader(shapes, 64, workers=3).epoch(0)
    assert len(list(islice(epoch, 2))) == 2
    epoch.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 must be positive"),
        ({"batch_size": 1, "workers": -1}, "workers=-1 not negative"),
        ({"batch_size": 1, "rank": 2, "world_size": 2}, "rank=2 must be from 0 to .* = 1"),
    ],
)
def test_wrong_sizes(shapes, arguments, message):
    with pytest.raises(ValueError, match=message):
        PointLoader(shapes, **arguments)


def test_empty_dataset(shapes):
    with pytest.raises(ValueError, match="the dataset is empty"):
        PointLoader(shapes.subset([]), 4)


@pytest.mark.parametrize("workers", [0, 2])
def test_streaming_reads_each_block_about_once(streamed, workers, monkeypatch):
    reads = []
    open_file = type(streamed.storage)._file
    monkeypatch.setattr(
        type(streamed.storage),
        "_file",
        lambda self, path: reads.append(path) or open_file(self, path),
    )
    for _ in PointLoader(streamed, 64, stream=True, workers=workers).epoch(8):
        pass
    blocks = -(-COUNT // 64)
    assert blocks <= len(reads) + 64, "all but what an earlier test left in the cache"
    assert len(reads) <= blocks + 3, "a block at the border of two windows is read twice"


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(1, 200),
    batch_size=st.integers(1, 40),
    world_size=st.integers(1, 5),
    drop_last=st.booleans(),
    seed=st.integers(0, 9),
)
def test_processes_share_any_dataset(count, batch_size, world_size, drop_last, seed):
    dataset = PointDataset(torch.zeros(count, 1, 3))
    drawn, sizes = [], set()
    for rank in range(world_size):
        loader = PointLoader(
            dataset,
            batch_size,
            drop_last=drop_last,
            seed=seed,
            rank=rank,
            world_size=world_size,
            workers=0,
        )
        batches = indices(loader.epoch(0))
        assert len(batches) == len(loader)
        sizes.add(sum(map(len, batches)))
        drawn += [index for batch in batches for index in batch]
    group = batch_size * world_size
    assert len(set(drawn)) == len(drawn) == (count - count % group if drop_last else count)
    assert max(sizes) - min(sizes) <= (0 if drop_last else 1)


def test_each_epoch_has_an_augmentation_of_its_own(shapes):
    loader = PointLoader(shapes, 8, shuffle=False, transform=Jitter(), workers=0)
    first, second = next(loader.epoch(0)), next(loader.epoch(1))
    assert torch.equal(first.indices, second.indices)
    assert not torch.equal(first.points, second.points)
