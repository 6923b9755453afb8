"""Which shapes there are, where they lie, and by what a change of their files is seen."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pcclust.data.assumed_up import assumed_up
from pcclust.data.dataset import NO_LABEL, PointDataset, UpAxis
from pcclust.data.hdf5_storage import Hdf5Storage
from pcclust.data.layouts import FileStorage
from pcclust.data.readers import SUFFIXES, holds_many
from pcclust.data.shape_source import ShapeSource
from pcclust.data.streaming import FOLDER_SUFFIXES, name_clouds
from pcclust.distributed.fetched import Fetched
from pcclust.distributed.store import file_system, is_url, patiently

GONE = -1


class Piece(NamedTuple):
    """Shapes that follow each other in one file.

    Attributes:
        path: of the file: a path or a URL; of a dataset without files what the user named.
        first: the first of them, of those of the file or, in a dataset, of all.
        shapes: how many they are.
        many: whether the file holds more than one, so that their names are numbered.
        size: of the file, in bytes; -1 where it could not be looked at.
        version: by what a change is seen beside that: a time, or what a store calls an ETag.
    """

    path: str
    first: int
    shapes: int
    many: bool
    size: int
    version: str


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What the user named.

    Attributes:
        paths: files, folders, patterns or URLs; or a single dataset.
        split: of a dataset that has splits.
        labelled: whether a single folder or HDF5 file is opened as a dataset.
    """

    paths: tuple[str, ...]
    split: str | None
    labelled: bool

    def open_dataset(self, num_points: int | None, seed: int) -> PointDataset | None:
        """Returns the dataset, where the user named one; see `ShapeSource`."""
        return None if self._far else self._source(num_points, seed).dataset

    def pieces(self, num_points: int | None, seed: int, ignore: Sequence[Path]) -> "Found":
        """Looks for all shapes, in the order of the command for one machine.

        Args:
            num_points: of every shape.
            seed: of the sampling.
            ignore: files and folders to leave out.

        Raises:
            FileNotFoundError: nothing is there.
            ValueError: URLs beside paths, or a split of something that has none.
            StoreError: a store that does not answer, or refuses.
        """
        if self._far:
            each = [piece for url in self.paths for piece in _far_pieces(url)]
            pieces = list({piece.path: piece for piece in each}.values())
            paths = [Path(piece.path) for piece in pieces]
            return Found(pieces, (), lambda: assumed_up(Path(self.paths[0]), paths))
        source = self._source(num_points, seed, ignore)
        if source.dataset is not None:
            pieces = list(_pieces_of(source.dataset, self.paths[0]))
        else:
            pieces = [_near_piece(file) for file in source.files]
        return Found(pieces, source.class_names, lambda: source.up_axis)

    @property
    def _far(self) -> bool:
        far = [is_url(path) for path in self.paths]
        if any(far) and not all(far):
            raise ValueError("URLs and paths of this machine cannot be read together: name either")
        if any(far) and self.split is not None:
            raise ValueError(f"--split {self.split} is for a single dataset, not for URLs")
        return any(far)

    def _source(
        self, num_points: int | None, seed: int, ignore: Sequence[Path] = ()
    ) -> ShapeSource:
        return ShapeSource(
            self.paths,
            split=self.split,
            num_points=num_points,
            seed=seed,
            ignore=ignore,
            labelled=self.labelled,
        )


class Found(NamedTuple):
    """All shapes, in order.

    Attributes:
        pieces: where they lie.
        class_names: of their labels, where there are any.
        up_axis: returns the axis against gravity, if it is known; warns where it is assumed.
    """

    pieces: list[Piece]
    class_names: tuple[str, ...]
    up_axis: Callable[[], UpAxis | None]


def state_of(path: str) -> tuple[int, str]:
    """Returns size and version of a file as they are now; -1 and nothing where it is not there.

    Raises:
        StoreError: a store that does not answer, or refuses.
    """
    if not is_url(path):
        try:
            state = Path(path).stat()
        except OSError:
            return GONE, ""
        return state.st_size, f"{state.st_mtime_ns}"
    system, place = file_system(path)

    def looked_at() -> dict[str, Any]:
        system.invalidate_cache()
        return dict(system.info(place))

    try:
        return _state(patiently(looked_at, f"{path} cannot be looked at"))
    except FileNotFoundError:
        return GONE, ""


def labels_of(dataset: PointDataset | None, first: int, count: int) -> list[int]:
    """Returns the labels of some shapes of a dataset; -1 without."""
    if dataset is None or dataset.labels is None:
        return [NO_LABEL] * count
    return [int(label) for label in dataset.labels[first : first + count]]


# What stores call the version of a file, the best first.
VERSIONS = ("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "last_modified",
            "modificationTime", "updated", "created")  # fmt: skip


def _state(entry: dict[str, Any]) -> tuple[int, str]:
    size = entry.get("size")
    known = [entry[name] for name in VERSIONS if entry.get(name) is not None]
    return (GONE if size is None else int(size)), _text(known[0]) if known else ""


def _text(version: object) -> str:
    """Returns a version as text; some stores list times as numbers that they give as dates."""
    if isinstance(version, datetime):
        version = version.timestamp()
    return f"{version:.3f}" if isinstance(version, float) else str(version)


def _far_pieces(url: str) -> Iterator[Piece]:
    """Yields the shapes of a file, of a folder at all levels, or of a pattern, in a store."""
    system, root = file_system(url)

    def listed() -> dict[str, dict[str, Any]]:
        system.invalidate_cache()
        if any(sign in root for sign in "*?["):
            return dict(system.glob(root, detail=True))
        return dict(system.find(root, detail=True))

    entries, found = patiently(listed, f"{url} cannot be listed"), False
    alone = list(entries) == [root] or any(sign in root for sign in "*?[")
    for path in sorted(entries):
        inside = path[len(root) :] if path.startswith(root) else path
        hidden = any(part.startswith(".") for part in inside.split("/"))
        known = Path(path).suffix.lower() in (SUFFIXES if alone else FOLDER_SUFFIXES)
        if entries[path]["type"] == "file" and known and not hidden:
            found = True
            yield _far_piece(str(system.unstrip_protocol(path)), *_state(entries[path]))
    if not found:
        raise FileNotFoundError(f"{url}: no file there has a known format")


def _far_piece(url: str, size: int, version: str) -> Piece:
    if not holds_many(Path(url)):
        return Piece(url, 0, 1, False, size, version)
    with Fetched() as fetched:
        count = _count(fetched.path(url))
    return Piece(url, 0, count, count > 1, size, version)


def _near_piece(file: Path) -> Piece:
    count = _count(file) if holds_many(file) else 1
    return Piece(file.as_posix(), 0, count, count > 1, *state_of(file.as_posix()))


def _count(file: Path) -> int:
    """Returns how many shapes a file holds; 1 of one that cannot be read, which is said later."""
    try:
        return len(name_clouds(file))
    except (ValueError, OSError):
        return 1


def _pieces_of(dataset: PointDataset, called: str) -> Iterator[Piece]:
    """Yields the shapes of a dataset by the files they are in, where it tells."""
    storage, at = dataset.storage, 0
    rows = dataset.rows.tolist()
    if isinstance(storage, FileStorage):
        for place, row in enumerate(rows):
            path = storage.paths[row].as_posix()
            yield Piece(path, place, 1, False, *state_of(path))
        return
    if isinstance(storage, Hdf5Storage) and rows == list(range(len(storage))):
        for file in storage.files:
            path = file.path.as_posix()
            yield Piece(path, at, file.num_shapes, True, *state_of(path))
            at += file.num_shapes
        return
    yield Piece(called, 0, len(dataset), True, GONE, "")
