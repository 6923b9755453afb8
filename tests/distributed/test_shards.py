"""Shards and folders of them, and what is said of those that are wrong."""

import dataclasses
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pcclust
from pcclust.distributed import shard_file
from pcclust.distributed.shard_file import (
    KEY,
    ShardAbout,
    ShardError,
    decode_shard,
    encode_shard,
    ragged,
)
from pcclust.distributed.shards import ShardFolder, list_shards, read_about, shard_name
from pcclust.distributed.store import Store

ABOUT = ShardAbout(kind="embed", model="a" * 64, plan="b" * 64, shard=0, shards=3)


def columns(count, width=5, dtype=np.float32, start=0):
    generator = np.random.default_rng(start)
    return {
        "name": [f"shape {start + i}" for i in range(count)],
        "label": np.arange(count) - 1,
        "size": np.full(count, 64),
        "features": generator.normal(size=(count, width)).astype(dtype),
    }


def write(folder, sizes=(4, 0, 3), dtype=np.float32, **changes):
    """Writes a folder of shards; returns the features that are in it."""
    written, start = [], 0
    for shard, size in enumerate(sizes):
        rows = columns(size, dtype=dtype, start=start)
        about = dataclasses.replace(ABOUT, shard=shard, shards=len(sizes), **changes)
        Store(folder).publish(shard_name(shard, len(sizes)), encode_shard(rows, about))
        written.append(rows["features"])
        start += size
    return np.concatenate(written)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("count", [0, 1, 33])
def test_a_shard_keeps_its_rows_to_the_bit(dtype, count):
    rows = columns(count, dtype=dtype)
    read = decode_shard(encode_shard(rows, ABOUT), "it")
    assert read.names == rows["name"]
    assert read.features.dtype == dtype
    assert read.features.shape == (count, 5)
    assert read.features.tobytes() == rows["features"].tobytes()
    np.testing.assert_array_equal(read.labels, rows["label"])
    np.testing.assert_array_equal(read.sizes, rows["size"])


def test_the_same_rows_are_the_same_bytes():
    assert encode_shard(columns(40), ABOUT) == encode_shard(columns(40), ABOUT)


def test_others_read_a_shard(tmp_path):
    """The types are those that the documentation names, and pandas reads them."""
    (tmp_path / "s.parquet").write_bytes(encode_shard(columns(3, dtype=np.float16), ABOUT))
    schema = pq.read_schema(tmp_path / "s.parquet")
    assert schema.field("features").type == pa.list_(pa.float16(), 5)
    assert schema.field("name").type == pa.string()
    frame = pq.read_table(tmp_path / "s.parquet").to_pandas()
    assert list(frame["name"]) == ["shape 0", "shape 1", "shape 2"]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_folder_is_read_in_order_in_batches(tmp_path, dtype):
    features = write(tmp_path, dtype=dtype)
    shards = ShardFolder(str(tmp_path))
    assert (len(shards), shards.counts, shards.width, shards.dtype) == (7, [4, 0, 3], 5, dtype)
    batches = list(shards.stream(3))
    assert [len(batch.features) for batch in batches] == [3, 1, 3]
    assert np.concatenate([batch.features for batch in batches]).tobytes() == features.tobytes()
    assert [name for batch in batches for name in batch.names] == [f"shape {i}" for i in range(7)]
    assert [batch.names for batch in shards.stream(3, [2], texts=False)] == [[]]


def test_rows_are_read_by_the_groups_they_are_in(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_file, "ROW_GROUP_BYTES", 300)
    features = write(tmp_path, sizes=(50,))
    with pq.ParquetFile(tmp_path / shard_name(0, 1)) as file:
        assert file.num_row_groups > 5
    shards = ShardFolder(str(tmp_path))
    for start, stop in ((0, 50), (0, 1), (17, 18), (13, 41), (49, 50)):
        read = shards.read(0, start, stop)
        np.testing.assert_array_equal(read.features, features[start:stop])
        assert read.names == [f"shape {i}" for i in range(start, stop)]


def test_features_of_points_are_lists_of_lists():
    rows = np.arange(20, dtype=np.float32).reshape(5, 4)
    given = {
        "name": ["a", "b"],
        "label": [-1, -1],
        "size": [2, 3],
        "features": ragged(rows, [2, 3]),
    }
    content = encode_shard(given, ABOUT)
    read = pq.read_table(io.BytesIO(content)).column("features").to_pylist()
    assert read == [rows[:2].tolist(), rows[2:].tolist()]
    with pytest.raises(ShardError, match=r"^it has no vector of each shape but .*pcclust embed$"):
        decode_shard(content, "it")


def test_how_a_shard_came_about_is_in_it(tmp_path):
    about = dataclasses.replace(
        ABOUT, class_names=("cup",), failures=(("x", "why"),), settings={"seed": 3}
    )
    Store(tmp_path).publish(shard_name(0, 3), encode_shard(columns(1), about))
    assert read_about(Store(tmp_path), shard_name(0, 3)) == about
    assert about.pcclust == pcclust.__version__


def test_only_shards_are_listed_and_by_their_numbers(tmp_path):
    for name in ("shard-100000-of-100001.parquet", "shard-00002-of-00003.parquet", "a.parquet"):
        (tmp_path / name).touch()
    (tmp_path / ".shard-00001-of-00003.parquet.12.tmp").touch()
    assert [name[:12] for name in list_shards(Store(tmp_path))] == ["shard-00002-", "shard-100000"]
    assert list_shards(Store(tmp_path / "nowhere")) == []


def test_a_folder_that_is_not_finished_is_refused(tmp_path):
    write(tmp_path)
    (tmp_path / shard_name(1, 3)).unlink()
    with pytest.raises(ShardError, match=r"has 2 of 3 shards, not shard-00001-of-00003.*finish it"):
        ShardFolder(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="there are no shards"):
        ShardFolder(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "c" * 64}, "another model (cccccccccccc…, not aaaaaaaaaaaa…)"),
        ({"plan": "c" * 64}, "another list of inputs (cccccccccccc…, not bbbbbbbbbbbb…)"),
        ({"pcclust": "0.0.1"}, f"another version of pcclust (0.0.1, not {pcclust.__version__})"),
        ({"settings": {"seed": 1}}, "another settings ({'seed': 1}, not {})"),
        ({"shards": 4}, "another number of shards (4, not 3)"),
    ],
)
def test_a_shard_of_another_job_is_refused(tmp_path, change, said):
    write(tmp_path)
    other = dataclasses.replace(ABOUT, shard=2, **change)
    place = tmp_path / shard_name(2, 3)
    place.write_bytes(encode_shard(columns(3), other))
    with pytest.raises(ShardError) as refused:
        ShardFolder(str(tmp_path))
    assert str(refused.value) == (
        f"{place} was written with {said}: move it away, and let the same command write it again"
    )


@pytest.mark.parametrize("wrong", [{"width": 6}, {"dtype": np.float16}])
def test_a_shard_of_other_vectors_is_refused(tmp_path, wrong):
    write(tmp_path)
    about = dataclasses.replace(ABOUT, shard=2)
    (tmp_path / shard_name(2, 3)).write_bytes(encode_shard(columns(3, **wrong), about))
    with pytest.raises(ShardError, match=r"by its content, where 5 float32 are expected"):
        ShardFolder(str(tmp_path))


def test_a_shard_under_another_name_is_refused(tmp_path):
    write(tmp_path)
    (tmp_path / shard_name(1, 3)).write_bytes((tmp_path / shard_name(2, 3)).read_bytes())
    with pytest.raises(ShardError, match="is shard 2 of 5 float32 by its content"):
        ShardFolder(str(tmp_path))


@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_half_a_shard_is_refused(tmp_path, kept):
    write(tmp_path)
    place = tmp_path / shard_name(1, 3)
    place.write_bytes(place.read_bytes()[:kept])
    with pytest.raises(ShardError, match=r"00001-of-00003.parquet is no whole Parquet.*remove"):
        ShardFolder(str(tmp_path))


def test_a_shard_of_another_schema_is_refused():
    table = pq.read_table(io.BytesIO(encode_shard(columns(2), ABOUT)))
    known = json.loads(table.schema.metadata[KEY])
    sink = io.BytesIO()
    newer = json.dumps({**known, "schema": 3, "pcclust": "9.0"}).encode()
    pq.write_table(table.replace_schema_metadata({KEY: newer}), sink)
    with pytest.raises(ShardError, match=r"^it has schema 3 of pcclust 9.0, and .* schema 2: use"):
        decode_shard(sink.getvalue(), "it")


def test_parquet_of_others_is_refused():
    sink = io.BytesIO()
    pq.write_table(pa.table({"features": [1, 2]}), sink)
    with pytest.raises(ShardError, match=r"^it is a Parquet file, but no shard of pcclust: move"):
        decode_shard(sink.getvalue(), "it")
