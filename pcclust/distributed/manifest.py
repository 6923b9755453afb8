"""The list of all shapes of a job, cut into shards: written once, read by whoever takes one.

It is ``_manifest.parquet`` beside the shards, a row for each `Piece` of a shard, so that a worker
reads only the rows of the shards that it takes. Its metadata say what the job is; its SHA-256, the
plan, is in each shard.
"""

import hashlib
import io
import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from pcclust._extras import require
from pcclust._version import __version__
from pcclust.distributed.shard_file import KEY, SCHEMA
from pcclust.distributed.sources import Piece
from pcclust.distributed.store import Store

MANIFEST = "_manifest.parquet"
ROWS_READ_AT_ONCE = 4096
UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class Cut(NamedTuple):
    """How shards are asked for: how many, or how large."""

    shards: int | None
    size: int | None


def parse_cut(text: str) -> Cut:
    """Reads ``400``, or ``64MB``.

    Raises:
        ValueError: it is neither.

    Example:
        >>> parse_cut("400"), parse_cut("64MB").size
        (Cut(shards=400, size=None), 64000000)
    """
    match = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", text.strip())
    if match and int(match[1]) and (not match[2] or match[2] in UNITS):
        number = int(match[1])
        return Cut(None, number * UNITS[match[2]]) if match[2] else Cut(number, None)
    raise ValueError(f"--shards {text} is neither a number of shards, as 400, nor a size, as 64MB")


def boundaries(total: int, granularity: int, shards: int) -> list[int]:
    """Returns where shards of nearly equal size begin and the last ends, at whole batches.

    Args:
        total: of all shapes.
        granularity: shapes of a batch, which no boundary parts.
        shards: how many are asked for; there are fewer where there are fewer batches.

    Example:
        >>> boundaries(100, 32, 3), boundaries(100, 32, 50)
        ([0, 32, 64, 100], [0, 32, 64, 96, 100])
    """
    batches = -(-total // granularity)
    shards = min(shards, batches)
    cuts = [batches * shard // shards * granularity for shard in range(shards)]
    return [*cuts, total]


class Manifest(NamedTuple):
    """All shapes of a job, in the folder of its shards.

    Attributes:
        store: the folder.
        about: what the job is: ``kind``, ``model``, ``settings``, ``sources``, ``cut``,
            ``class_names``, ``up_axis``, ``pcclust``, ``schema``; where each shard begins and the
            last ends, ``starts``; and the SHA-256 of all that and of the shapes, ``plan``.
    """

    store: Store
    about: dict[str, Any]

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return len(self.about["starts"]) - 1

    def span(self, shard: int) -> tuple[int, int]:
        """Returns the places among all shapes from which and to which a shard goes."""
        first, end = self.about["starts"][shard : shard + 2]
        return first, end

    def pieces(self, shard: int) -> list[Piece]:
        """Returns where the shapes of a shard lie, in order; reads no more than that."""
        pq = require("pyarrow.parquet", "shards")
        group = bisect_right(self.about["groups"], shard) - 1
        with self.store.open(MANIFEST) as source, pq.ParquetFile(source) as file:
            rows = file.read_row_group(group).to_pylist()
        mine = (row for row in rows if row.pop("shard") == shard)
        return [Piece(**row) for row in mine]


def encode_manifest(pieces: Sequence[Piece], starts: Sequence[int], about: dict[str, Any]) -> bytes:
    """Returns the content of a manifest.

    Args:
        pieces: of all shapes, in order.
        starts: where each shard begins among them, and the last ends.
        about: see `Manifest`.
    """
    pa, pq = require("pyarrow", "shards"), require("pyarrow.parquet", "shards")
    text, number = pa.string(), pa.int64()
    kinds = [text, number, number, pa.bool_(), number, text]
    schema = pa.schema([("shard", number), *zip(Piece._fields, kinds, strict=True)])
    rows = list(_cut(pieces, starts))
    groups = list(_groups([shard for shard, _ in rows]))
    known = {**about, "starts": list(starts), "groups": [rows[at][0] for at in groups]}
    known["plan"] = hashlib.sha256(json.dumps([known, rows]).encode()).hexdigest()
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema.with_metadata({KEY: json.dumps(known).encode()})) as writer:
        for first, end in zip(groups, [*groups[1:], len(rows)], strict=True):
            part = [{"shard": shard, **piece._asdict()} for shard, piece in rows[first:end]]
            writer.write_table(pa.Table.from_pylist(part, schema=schema))
    return sink.getvalue()


def read_manifest(store: Store) -> Manifest:
    """Reads the manifest of a folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, or of another schema or version of pcclust.
    """
    pa, pq = require("pyarrow", "shards"), require("pyarrow.parquet", "shards")
    called = store.place(MANIFEST)
    try:
        with store.open(MANIFEST) as source:
            about = json.loads(pq.read_schema(source).metadata[KEY])
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{called} is no list of shapes of pcclust ({error}): name another --out, or remove "
            f"{store.url} to begin anew"
        ) from error
    ours = {"schema": SCHEMA, "pcclust": __version__}
    theirs = {name: about.get(name) for name in ours}
    if theirs != ours:
        raise ValueError(
            f"{store.url} was begun by pcclust {theirs['pcclust']} (schema {theirs['schema']}), "
            f"and this is {__version__} (schema {SCHEMA}): use that version, or name another --out"
        )
    return Manifest(store, about)


def _cut(pieces: Sequence[Piece], starts: Sequence[int]) -> Iterator[tuple[int, Piece]]:
    """Yields what of each piece is in which shard."""
    at = list(accumulate((piece.shapes for piece in pieces), initial=0))
    for shard, (first, end) in enumerate(pairwise(starts)):
        index = bisect_right(at, first) - 1
        while index < len(pieces) and at[index] < end:
            piece = pieces[index]
            skipped = max(first - at[index], 0)
            count = min(end - at[index], piece.shapes) - skipped
            if count:
                yield shard, piece._replace(first=piece.first + skipped, shapes=count)
            index += 1


def _groups(shards: Sequence[int]) -> Iterator[int]:
    """Yields the rows at which groups begin that are read at once: whole shards, some rows."""
    begun = 0
    for row, shard in enumerate(shards):
        if row == 0 or (shard != shards[row - 1] and row - begun >= ROWS_READ_AT_ONCE):
            begun = row
            yield row
