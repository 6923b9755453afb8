"""Features of many shapes as a folder of shards: listed in order, read a few rows at a time.

``ShardFolder("features").stream(4096)`` is what learns from them; `shard_file` has the format. A
shard is a file ``shard-00017-of-00400.parquet``, so what is done is seen from a listing.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pcclust._names import counted
from pcclust.distributed.shard_file import (
    ShardAbout,
    ShardError,
    ShardRows,
    opened_shard,
    refuse_stranger,
    rows_of,
    width_of,
)
from pcclust.distributed.store import Store

if TYPE_CHECKING:
    import pyarrow as pa

NAME = re.compile(r"shard-(\d{5,})-of-(\d{5,})\.parquet")


def shard_name(shard: int, shards: int) -> str:
    """Returns the name of a file.

    Example:
        >>> shard_name(17, 400)
        'shard-00017-of-00400.parquet'
    """
    return f"shard-{shard:05d}-of-{shards:05d}.parquet"


def list_shards(store: Store) -> list[str]:
    """Returns the names of the shards that are in a folder, in order; see `Store.names`."""
    found = [(NAME.fullmatch(name), name) for name in store.names()]
    return [name for _, name in sorted((int(m[1]), name) for m, name in found if m)]


def read_about(store: Store, name: str) -> ShardAbout:
    """Returns how a shard came about, by the end of the file alone.

    Raises:
        ShardError: it is damaged, or no shard, or of another schema.
        FileNotFoundError: there is none.
    """
    with opened_shard(store.open(name), store.place(name)) as (_, about):
        return about


class ShardFolder:
    """The shards of vectors in a folder, in order, read a few rows at a time.

    Args:
        url: the folder: a path, or what fsspec takes.

    Attributes:
        store: the folder.
        names: of the files.
        counts: rows of each.
        width: C of the features.
        dtype: of the features, float16 or float32.
        about: of the first shard; those of the others differ in ``shard`` and ``failures`` alone.

    Raises:
        FileNotFoundError: no shards are there.
        ShardError: shards are missing, damaged, or of another model, plan or version; says which.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from pcclust.distributed.shard_file import ShardAbout, encode_shard
        >>> from pcclust.distributed.shards import ShardFolder, shard_name
        >>> from pcclust.distributed.store import Store
        >>> folder = tempfile.TemporaryDirectory()
        >>> for shard in range(2):
        ...     about = ShardAbout(kind="embed", model="", plan="", shard=shard, shards=2)
        ...     rows = {"name": [f"{shard}/{i}" for i in range(3)], "label": [-1] * 3,
        ...             "size": [64] * 3, "features": np.full((3, 4), shard, np.float32)}
        ...     Store(folder.name).publish(shard_name(shard, 2), encode_shard(rows, about))
        >>> shards = ShardFolder(folder.name)
        >>> len(shards), shards.counts, shards.width, shards.dtype
        (6, [3, 3], 4, dtype('float32'))
        >>> [rows.features.shape for rows in shards.stream(2)]
        [(2, 4), (1, 4), (2, 4), (1, 4)]
        >>> shards.read(1, 2, 3).names
        ['1/2']
        >>> folder.cleanup()
    """

    def __init__(self, url: str) -> None:
        self.store = Store(url)
        self.names = list_shards(self.store)
        if not self.names:
            raise FileNotFoundError(f"{url}: there are no shards of pcclust embed --shards")
        self.counts: list[int] = []
        for name in self.names:
            self._add(name)
        if len(self.names) != self.about.shards:
            missing = sorted(set(range(self.about.shards)) - set(map(_number, self.names)))
            raise ShardError(
                f"{url} has {len(self.names):,} of {counted(self.about.shards, 'shard')}, not "
                f"{shard_name(missing[0], self.about.shards)}: let the same pcclust embed finish it"
            )

    def __len__(self) -> int:
        """The number of rows."""
        return sum(self.counts)

    def stream(
        self, batch_size: int, shards: Sequence[int] | None = None, *, texts: bool = True
    ) -> Iterator[ShardRows]:
        """Yields the rows of shards, in order, in batches that end with each shard.

        Args:
            batch_size: rows of a batch, at most.
            shards: which; all if None.
            texts: whether names are read, too; without them they are empty.
        """
        for shard in range(len(self.names)) if shards is None else shards:
            with self._opened(shard) as (file, _):
                for batch in file.iter_batches(batch_size, columns=_columns(texts)):
                    yield rows_of(batch)

    def read(self, shard: int, start: int, stop: int, *, texts: bool = True) -> ShardRows:
        """Returns the rows from ``start`` to ``stop`` of a shard, by the row groups they are in.

        Args:
            shard: which.
            start: the first row.
            stop: the one behind the last.
            texts: whether names are read, too; without them they are empty.
        """
        with self._opened(shard) as (file, _):
            groups: list[int] = []
            first, at = 0, 0
            for group in range(file.num_row_groups):
                end = at + file.metadata.row_group(group).num_rows
                if end > start and at < stop:
                    first = first if groups else at
                    groups.append(group)
                at = end
            table = file.read_row_groups(groups, columns=_columns(texts))
            return rows_of(table.slice(start - first, stop - start))

    def names_of(self, shard: int) -> "pa.ChunkedArray":
        """Returns the names of the shapes of a shard, as Arrow has them."""
        with self._opened(shard) as (file, _):
            return file.read(columns=["name"]).column("name")

    def _opened(self, shard: int) -> opened_shard:
        name = self.names[shard]
        return opened_shard(self.store.open(name), self.store.place(name))

    def _add(self, name: str) -> None:
        """Takes a shard into account, unless it does not belong to those before."""
        called = self.store.place(name)
        with opened_shard(self.store.open(name), called) as (file, about):
            width, dtype = width_of(file, called)
            self.counts.append(file.metadata.num_rows)
        if len(self.counts) == 1:
            self.about, self.width, self.dtype = about, width, dtype
        refuse_stranger(about, self.about, called)
        if (_number(name), width, dtype) != (about.shard, self.width, self.dtype):
            raise ShardError(
                f"{called} is shard {about.shard} of {width} {dtype} by its content, where "
                f"{self.width} {self.dtype} are expected: remove it, and let the same pcclust "
                "embed write it again"
            )


def _columns(texts: bool) -> list[str]:
    return ["label", "size", "features", *(["name"] if texts else [])]


def _number(name: str) -> int:
    return int(name.split("-")[1])
