"""One shard: features of some shapes as a Parquet file, written by one process.

It has a row for each shape:

| column | type |
|---|---|
| ``name`` | string |
| ``label`` | int64, -1 where there is none |
| ``size`` | int64, the points it was described by |
| ``features`` | one vector a shape: fixed-size list of C float16 or float32; or, where each point is described, a list of them |

and, where they were asked for, ``points`` and the like as lists, too. How it came about is
JSON in the metadata of the file, under the key ``pcclust``: see `ShardAbout`.

`pcclust.distributed.shards` has the folder of them. Polars, DuckDB, pandas and Spark read them as
any other Parquet.
"""  # noqa: E501 (a table has no line breaks)

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust._extras import require
from pcclust._version import __version__
from pcclust.data.dataset import UpAxis

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SCHEMA = 2
KEY = b"pcclust"
ROW_GROUP_BYTES = 2**23  # what is read at once, at least


@dataclass(frozen=True, kw_only=True)
class ShardAbout:
    """How a shard came about.

    Attributes:
        kind: "embed" for a vector a shape, "rri" for features of each point.
        model: SHA-256 of the weights; empty for rri.
        plan: SHA-256 of the plan that the shard is a part of; those of one folder have one plan.
        shard: which it is, from 0 on.
        shards: how many there are.
        settings: what else determines the features.
        class_names: the name of each label.
        up_axis: of the points that the shard holds, if that is known.
        failures: shapes that could not be described: name and reason of each.
        schema: of the file; this module writes and reads number 2.
        pcclust: the version that wrote it.
    """

    kind: str
    model: str
    plan: str
    shard: int
    shards: int
    settings: dict[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    up_axis: UpAxis | None = None
    failures: tuple[tuple[str, str], ...] = ()
    schema: int = SCHEMA
    pcclust: str = __version__


class ShardRows(NamedTuple):
    """Some rows of a shard of vectors.

    Attributes:
        names: of the B shapes.
        labels: ``(B,)`` int64, -1 for shapes without.
        sizes: ``(B,)`` int64, points of each.
        features: ``(B, C)`` float16 or float32.
    """

    names: list[str]
    labels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    features: NDArray[np.floating]


class ShardError(ValueError):
    """A shard that cannot be read, or does not belong to the others."""


def encode_shard(columns: Mapping[str, object], about: ShardAbout) -> bytes:
    """Returns the content of a shard: the same bytes for the same rows.

    Args:
        columns: ``name``, ``label`` and ``size``, one of each shape; and 2-D arrays ``(B, C)``,
            which become fixed-size lists, or what `ragged` returns.
        about: how it came about.

    Raises:
        ImportError: pyarrow is not installed; names the extra.

    Example:
        >>> import numpy as np
        >>> from pcclust.distributed.shard_file import ShardAbout, decode_shard, encode_shard
        >>> about = ShardAbout(kind="embed", model="", plan="", shard=0, shards=1)
        >>> features = np.ones((2, 4), np.float16)
        >>> rows = {"name": ["a", "b"], "label": [0, 1], "size": [64, 64], "features": features}
        >>> decode_shard(encode_shard(rows, about), "a shard").features.shape
        (2, 4)
    """
    pa, pq = _parquet()
    plain = {"name": pa.string(), "label": pa.int64(), "size": pa.int64()}
    arrays = {
        name: pa.array(values, plain[name])
        if name in plain
        else _lists(values)
        if isinstance(values, np.ndarray)
        else values
        for name, values in columns.items()
    }
    table = pa.table(arrays).replace_schema_metadata({KEY: json.dumps(asdict(about)).encode()})
    each = max(1, table.nbytes // max(1, len(table)))
    sink = io.BytesIO()
    # Features hardly compress, and a plain file is the same bytes whatever packs it.
    pq.write_table(
        table,
        sink,
        row_group_size=max(1, ROW_GROUP_BYTES // each),
        compression="NONE",
        use_dictionary=False,
        write_statistics=False,
    )
    return sink.getvalue()


def ragged(rows: NDArray[Any], sizes: Sequence[int] | NDArray[np.int64]) -> "pa.Array":
    """Returns rows ``(ΣN, C)`` of several shapes as one list of fixed-size lists a shape."""
    pa, _ = _parquet()
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), _lists(rows))


def decode_shard(content: bytes, called: str) -> ShardRows:
    """Returns all rows of a shard of vectors; see `ShardFolder` for many.

    Args:
        content: of the file.
        called: the file in messages.

    Raises:
        ShardError: it is damaged, no shard, of another schema, or has no vectors.
    """
    with opened_shard(io.BytesIO(content), called) as (file, _):
        width_of(file, called)
        return rows_of(file.read())


class opened_shard:  # noqa: N801 (a context manager)
    """Opens a shard, and says what is wrong with it.

    Args:
        source: a file object, which is closed with it, too.
        called: the file in messages.

    Raises:
        ShardError: it is damaged, or no shard, or of another schema.
    """

    def __init__(self, source: Any, called: str) -> None:  # noqa: ANN401 (any file object)
        self.source = source
        self.called = called

    def __enter__(self) -> "tuple[pq.ParquetFile, ShardAbout]":
        pa, pq = _parquet()
        try:
            file = pq.ParquetFile(self.source)
            return file, _about(file.schema_arrow.metadata or {}, self.called)
        except (pa.ArrowInvalid, OSError) as error:
            self.source.close()
            raise ShardError(
                f"{self.called} is no whole Parquet file ({error}): remove it, and let the same "
                "command write it again"
            ) from error
        except ShardError:
            self.source.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.source.close()


def width_of(file: "pq.ParquetFile", called: str) -> tuple[int, np.dtype[Any]]:
    """Returns C and the type of the features of an open shard.

    Raises:
        ShardError: it does not have one vector a shape.
    """
    pa, _ = _parquet()
    kind = file.schema_arrow.field("features").type if _has_features(file) else None
    if not isinstance(kind, pa.FixedSizeListType):
        raise ShardError(
            f"{called} has no vector of each shape but {kind or 'no features'}: name a folder of "
            "pcclust embed"
        )
    return kind.list_size, np.dtype(kind.value_type.to_pandas_dtype())


def refuse_stranger(about: ShardAbout, expected: ShardAbout, called: str) -> None:
    """Raises ShardError where a shard was not written by the job that others are of.

    Args:
        about: of the shard.
        expected: of another one, or of those that are to be written.
        called: the file in messages.
    """
    same = ("kind", "model", "pcclust", "settings", "shards", "plan")
    for name in same:
        found, wanted = (getattr(a, name) for a in (about, expected))
        if found != wanted:
            raise ShardError(
                f"{called} was written with another {_WORDS.get(name, name)} ({_short(found)}, "
                f"not {_short(wanted)}): move it away, and let the same command write it again"
            )


_WORDS = {
    "kind": "command",
    "model": "model",
    "pcclust": "version of pcclust",
    "shards": "number of shards",
    "plan": "list of inputs",
}


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) < 40 else f"{text[:12]}…"


def _about(metadata: Mapping[bytes, bytes], called: str) -> ShardAbout:
    try:
        known = json.loads(metadata[KEY])
        schema = known["schema"]
    except (KeyError, ValueError, TypeError):
        raise ShardError(
            f"{called} is a Parquet file, but no shard of pcclust: move it elsewhere"
        ) from None
    if schema != SCHEMA or set(known) != {each.name for each in fields(ShardAbout)}:
        raise ShardError(
            f"{called} has schema {schema} of pcclust {known.get('pcclust')}, and pcclust "
            f"{__version__} reads schema {SCHEMA}: use that version, or write it again"
        )
    failures = tuple((str(name), str(reason)) for name, reason in known["failures"])
    classes = tuple(known["class_names"])
    return ShardAbout(**{**known, "failures": failures, "class_names": classes})


def _has_features(file: "pq.ParquetFile") -> bool:
    return {"name", "label", "size", "features"} <= set(file.schema_arrow.names)


def _lists(rows: NDArray[Any]) -> "pa.Array":
    """Returns the rows of ``(B, C)`` as fixed-size lists."""
    pa, _ = _parquet()
    flat = arrow_of(np.ascontiguousarray(rows).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])


def rows_of(table: "pa.Table | pa.RecordBatch") -> ShardRows:
    """Returns what was read of a shard of vectors as arrays."""

    def plain(name: str) -> Any:  # noqa: ANN401 (of any type)
        column = table.column(name)
        return column.combine_chunks() if hasattr(column, "combine_chunks") else column

    names = plain("name").to_pylist() if "name" in table.schema.names else []
    features = plain("features")
    # Arrow's own to_numpy, and pa.array, load pandas wherever that is installed: 45 MB.
    shared: Callable[[Any], NDArray[Any]] = np.from_dlpack
    vectors = shared(features.flatten()).reshape(len(features), features.type.list_size)
    return ShardRows(names, shared(plain("label")), shared(plain("size")), vectors)


def arrow_of(values: NDArray[Any]) -> "pa.Array":
    """Returns contiguous numbers ``(N,)`` as an array of Arrow, which shares their memory."""
    pa, _ = _parquet()
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _parquet() -> tuple[Any, Any]:
    """Returns pyarrow and its module of Parquet."""
    return require("pyarrow", "shards"), require("pyarrow.parquet", "shards")
