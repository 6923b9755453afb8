"""Making one shard after the other of a job, in one process."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pcclust.data.dataset import PointDataset
from pcclust.data.layouts import FileStorage
from pcclust.data.shape_source import read_each
from pcclust.data.streaming import (
    NamedCloud,
    ReadFailure,
    ReadResult,
    read_ahead,
    read_one,
    read_some,
)
from pcclust.distributed.describers import Columns
from pcclust.distributed.fetched import Fetched
from pcclust.distributed.job import Job, planned
from pcclust.distributed.shard_file import ShardAbout, encode_shard
from pcclust.distributed.shards import shard_name
from pcclust.distributed.sources import GONE, Piece, labels_of, state_of
from pcclust.distributed.store import Store, is_url


class ChangedError(ValueError):
    """A file is no longer what it was when the plan was made."""


class Made(NamedTuple):
    """What became of a shard.

    Attributes:
        shard: which.
        rows: shapes that are in it.
        failures: shapes that are not, and why.
    """

    shard: int
    rows: int
    failures: list[ReadFailure]


class ShardMaker:
    """Describes shards of a job, with the model loaded once.

    Args:
        job: which.

    Attributes:
        job: as given.
        store: the folder of the shards.
        manifest: the plan.

    Raises:
        FileNotFoundError: no shapes.
        ValueError: the folder is of another job, or of another version of pcclust.
        StoreError: a store that does not answer, or refuses.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.store = Store(job.out)
        self.manifest = planned(job, self.store)
        self._fetched = Fetched()

    def name(self, shard: int) -> str:
        """Returns the file of a shard."""
        return shard_name(shard, self.manifest.shards)

    def count(self, shard: int) -> int:
        """Returns how many shapes a shard is of."""
        first, end = self.manifest.span(shard)
        return end - first

    def expected(self, shard: int) -> ShardAbout:
        """Returns how a shard comes about here, but for its failures."""
        about = self.manifest.about
        return ShardAbout(
            kind=about["kind"],
            model=about["model"],
            plan=about["plan"],
            shard=shard,
            shards=self.manifest.shards,
            settings=about["settings"],
            class_names=tuple(about["class_names"]),
            up_axis=about["up_axis"],
        )

    def make(self, shard: int, advance: Callable[[int], object] = lambda count: None) -> Made:
        """Describes the shapes of a shard and publishes them.

        Args:
            shard: which.
            advance: is told of so many shapes that are done, a batch after the other.

        Raises:
            ChangedError: a file that is not what it was when the plan was made.
            StoreError: a store that does not answer, refuses, or returns half a file.
            ValueError: the model fails, or a feature is beyond the type of the features.
            OSError: a disk that is full, or may not be written.
        """
        pieces = self.manifest.pieces(shard)
        refuse_changed(pieces, self._dataset, self.store.url)
        labels = self._labels(pieces)
        parts: list[Columns] = []
        failures: list[ReadFailure] = []
        describer = self.job.describer
        with closing(self._read(pieces)) as results:
            for shapes, unread in describer.batches(results, list(labels)):
                columns, refused = describer.describe(shapes)
                parts += [columns] if columns else []
                failures += [*unread, *refused]
                advance(len(shapes) + len(unread))
        joined = dict(describer.joined(parts))
        names = [str(name) for part in parts for name in part["name"]]
        joined["label"] = [labels[name] for name in names]
        content = encode_shard(joined, self._about(shard, failures))
        self.store.publish(self.name(shard), content)
        return Made(shard, len(names), failures)

    def _about(self, shard: int, failures: list[ReadFailure]) -> ShardAbout:
        known = tuple((failure.name, failure.reason) for failure in failures)
        return ShardAbout(**{**vars(self.expected(shard)), "failures": known})

    @cached_property
    def _dataset(self) -> PointDataset | None:
        """The dataset that the user named, opened once; None for files."""
        describer = self.job.describer
        dataset = self.job.sources.open_dataset(describer.num_points, describer.seed)
        total = self.manifest.about["starts"][-1]
        if dataset is not None and len(dataset) != total:
            raise ChangedError(
                f"{self.job.sources.paths[0]} has {len(dataset):,} shapes, and had {total:,} when "
                f"{self.store.url} was begun: name another --out"
            )
        return dataset

    def _labels(self, pieces: list[Piece]) -> dict[str, int]:
        """Returns the labels by the names of all shapes of a shard, in order."""
        labels: dict[str, int] = {}
        for piece in pieces:
            found = labels_of(self._dataset, piece.first, piece.shapes)
            labels |= dict(zip(_names(piece, self._dataset), found, strict=True))
        return labels

    def _read(self, pieces: list[Piece]) -> Generator[ReadResult, None, None]:
        """Yields each shape of a shard, or why it cannot be read."""
        if self._dataset is not None:
            rows = [
                row for piece in pieces for row in range(piece.first, piece.first + piece.shapes)
            ]
            yield from read_each(self._dataset.subset(rows))
            return
        describer = self.job.describer
        given = (describer.num_points, describer.seed)
        near = [Path(p.path) for p in pieces if not p.many and not is_url(p.path)]
        with closing(read_ahead(near, *given, min(self.job.workers, len(near)))) as ahead:
            for piece in pieces:
                indices = range(piece.first, piece.first + piece.shapes)
                if not piece.many and not is_url(piece.path):
                    yield next(ahead)
                    continue
                path = self._fetched.path(piece.path)
                results: Iterator[ReadResult]
                if piece.many:
                    results = read_some(path, _names(piece, None), indices, *given)
                else:
                    results = iter([read_one(path, *given)])
                for result in results:
                    yield _renamed(result, path, piece.path)


def refuse_changed(pieces: list[Piece], dataset: PointDataset | None, url: str) -> None:
    """Raises ChangedError at the first file that is not what it was when the plan was made.

    Args:
        pieces: the shapes that are to be read.
        dataset: that they are of, where the user named one.
        url: the folder of the shards, for the message.
    """
    for piece in pieces:
        path = piece.path
        if dataset is not None and isinstance(dataset.storage, FileStorage):
            path = dataset.storage.paths[int(dataset.rows[piece.first])].as_posix()
        now = state_of(piece.path)
        if path != piece.path or now != (piece.size, piece.version):
            raise ChangedError(
                f"{piece.path} {_change(piece, now)} since {url} was begun: put it back as it was, "
                "or name another --out"
            )


def _change(piece: Piece, now: tuple[int, str]) -> str:
    if now[0] == GONE:
        return "has gone"
    if now[0] != piece.size:
        return f"has changed from {max(piece.size, 0):,} to {now[0]:,} bytes"
    return "has been written again"


def _names(piece: Piece, dataset: PointDataset | None) -> list[str]:
    """Returns the names of the shapes of a piece, as the command for one machine has them."""
    rows = range(piece.first, piece.first + piece.shapes)
    if dataset is not None:
        return [dataset.names[row] for row in rows]
    return [f"{piece.path}[{row}]" for row in rows] if piece.many else [piece.path]


def _renamed(result: ReadResult, path: Path, called: str) -> ReadResult:
    """Returns what was read of a file of a store by its address there."""
    here = path.as_posix()
    if isinstance(result, ReadFailure):
        reason = result.reason.replace(here, called)
        return ReadFailure(result.name.replace(here, called), reason)
    return NamedCloud(result.name.replace(here, called), result.points)
