"""The clusters of rows, written as a file for each shard."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pcclust._extras import require
from pcclust._files import write_whole
from pcclust.distributed.rows import Part, ShardedRows
from pcclust.distributed.shard_file import arrow_of
from pcclust.distributed.share import Share

if TYPE_CHECKING:
    import pyarrow as pa

MESSAGE = 1 << 20  # rows whose clusters travel at once


def write_labels(share: Share, folder: Path) -> None:
    """Writes the cluster of each row, and its squared distance to the center.

    For a shard that is a Parquet file of the same name with columns ``name``, ``cluster`` (int32)
    and ``distance`` (float32); for another file ``NAME.npy``, ``(N,)`` int32.

    Args:
        share: labelled rows of this process; all call this alike.
        folder: where; it exists.

    Raises:
        OSError: it cannot be written.
        PeerError: another process cannot write.
    """
    group = share.group
    # Whoever has a part's first row writes it, with what others send; most parts have one owner.
    for index, part in enumerate(share.rows.parts):
        labels, distances = _of_part(share, part)
        mine = share.first <= part.first < share.last or (not part.size and group.first)
        if not mine:
            continue
        rows = share.rows
        if isinstance(rows, ShardedRows):
            names = rows.folder.names_of(index)
            write_whole(folder / part.name, _parquet(names, labels, distances))
        else:
            buffer = io.BytesIO()
            np.save(buffer, labels)
            write_whole(folder / f"{Path(part.name).stem}.npy", buffer.getvalue())
    group.together(lambda: None)


def _of_part(share: Share, part: Part) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Returns labels and distances of a part, all of them where this process has its first row."""
    whole = [[np.empty(0, np.int32), np.empty(0, np.float32)]]
    for first, last, shared in _messages(share, part):
        own = slice(
            max(first, share.first) - share.first, max(0, min(last, share.last) - share.first)
        )
        values = [share.labels[own], share.distances[own]]
        if shared:
            values = [share.group.joined(value) for value in values]
        whole.append([value.cpu().numpy() for value in values])
    labels, distances = zip(*whole, strict=True)
    return np.concatenate(labels), np.concatenate(distances)


def _messages(share: Share, part: Part) -> Iterator[tuple[int, int, bool]]:
    """Yields ranges of a part's rows, and whether several processes have some of the part."""
    last = part.first + part.size
    owners = sum(a < last and part.first < b for a, b in share.boundaries)
    for first in range(part.first, last, MESSAGE):
        yield first, min(first + MESSAGE, last), owners > 1


def _parquet(
    names: "pa.ChunkedArray", labels: NDArray[np.int32], distances: NDArray[np.float32]
) -> bytes:
    pa, pq = require("pyarrow", "shards"), require("pyarrow.parquet", "shards")
    sink = io.BytesIO()
    columns = {"name": names, "cluster": arrow_of(labels), "distance": arrow_of(distances)}
    table = pa.table(columns)
    pq.write_table(table, sink, compression="NONE", use_dictionary=False, write_statistics=False)
    return sink.getvalue()
