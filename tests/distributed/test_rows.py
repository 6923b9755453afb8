from itertools import pairwise

import h5py
import numpy as np
import pytest

from pcclust.distributed.rows import ArrayRows, boundaries, holds_shards, open_rows
from pcclust.distributed.shard_file import ShardAbout, encode_shard
from pcclust.distributed.shards import shard_name
from pcclust.distributed.store import Store

FEATURES = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)


def write_shards(folder, sizes, features=FEATURES):
    first = 0
    for shard, size in enumerate(sizes):
        rows = features[first : first + size]
        about = ShardAbout(kind="embed", model="m", plan="p", shard=shard, shards=len(sizes))
        columns = {"name": [f"shape {first + i}" for i in range(size)], "label": [-1] * size}
        columns |= {"size": [64] * size, "features": rows}
        Store(folder).publish(shard_name(shard, len(sizes)), encode_shard(columns, about))
        first += size
    return folder


def write_npz(path):
    np.savez(path, features=FEATURES)


def write_hdf5(path):
    with h5py.File(path, "w") as file:
        file["features"] = FEATURES


WRITERS = {"a.npy": lambda path: np.save(path, FEATURES), "a.npz": write_npz, "a.h5": write_hdf5}
WRITERS["shards"] = lambda path: write_shards(path, [100, 0, 37, 363])


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_reads_the_same_rows(tmp_path, name):
    WRITERS[name](tmp_path / name)
    rows = open_rows(str(tmp_path / name))
    assert (len(rows), rows.width, rows.dtype) == (500, 6, np.float32)
    for first, last, size in ((0, 500, 64), (90, 411, 50), (120, 121, 8), (499, 500, 1000)):
        blocks = list(rows.blocks(first, last, size))
        assert (np.concatenate([block for _, block in blocks]) == FEATURES[first:last]).all()
        at = first
        for start, block in blocks:
            assert start == at
            at += len(block)
            assert at % size == 0 or at == last
    numbers = np.array([0, 3, 99, 100, 136, 137, 499])
    assert (rows.take(numbers, 64) == FEATURES[numbers]).all()
    assert rows.take(numbers[:0], 64).shape == (0, 6)
    assert rows.digest() == open_rows(str(tmp_path / name)).digest()


def test_rows_are_called_by_their_part(tmp_path):
    folder = write_shards(tmp_path / "shards", [100, 0, 400])
    rows = open_rows(str(folder))
    assert rows.called(100) == f"{folder}/shard-00002-of-00003.parquet: row 0"
    assert ArrayRows(FEATURES).called(12) == "array: row 12"


def test_shares_are_whole_chunks_and_cover_all():
    for count, chunk, processes in ((10, 4, 3), (10, 4, 9), (1, 4, 2), (4096, 4, 7)):
        parts = boundaries(count, chunk, processes)
        assert parts[0][0] == 0
        assert parts[-1][1] == count
        assert all(a[1] == b[0] for a, b in pairwise(parts))
        assert all(first % chunk == 0 for first, _ in parts)


def test_what_holds_no_features_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        open_rows(str(tmp_path / "nothing"))
    assert not holds_shards(str(tmp_path))
    with pytest.raises(ValueError, match="holds no features: give a folder of shards"):
        open_rows(str(tmp_path))
    np.save(tmp_path / "a.npy", np.zeros((3, 2, 2)))
    with pytest.raises(ValueError, match=r"features must be numbers \(N, C\), got float64"):
        open_rows(str(tmp_path / "a.npy"))
    np.save(tmp_path / "b.npy", np.asfortranarray(FEATURES))
    with pytest.raises(ValueError, match="holds columns, not rows"):
        open_rows(str(tmp_path / "b.npy"))


def test_shards_of_another_width_or_model_are_refused(tmp_path):
    write_shards(tmp_path / "a", [250, 250])
    write_shards(tmp_path / "b", [250, 250], FEATURES[:, :4])
    strange = tmp_path / "b" / shard_name(1, 2)
    (tmp_path / "a" / shard_name(1, 2)).write_bytes(strange.read_bytes())
    with pytest.raises(ValueError, match=r"shard-00001-of-00002.parquet is shard 1 of 4 float32"):
        open_rows(str(tmp_path / "a"))
