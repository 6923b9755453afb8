"""Finding out in which of the known layouts a folder holds a dataset."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pcclust.data.dataset import PointDataset
from pcclust.data.precision import in_float32
from pcclust.data.readers import read_points

DEFAULT_ROOT = Path("~/.cache/pcclust/data")
SHOWN = 8


class LayoutError(ValueError):
    """A folder that holds another layout than those a dataset comes in, or a part of one."""


@dataclass(frozen=True)
class Request:
    """What is asked of a dataset, whatever its layout.

    Attributes:
        split: "train", "val", "test" …
        num_points: the points of every shape.
        seed: of whatever is sampled.
    """

    split: str
    num_points: int
    seed: int


@dataclass(frozen=True)
class Layout:
    """One way in which a dataset is laid out on disk.

    Attributes:
        description: what a folder of this layout holds, for messages.
        matches: whether a folder has this layout.
        read: makes the dataset.
    """

    description: str
    matches: Callable[[Path], bool]
    read: Callable[[Path, Request], PointDataset]


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Returns the folder of all datasets: ``root``, else $PCCLUST_DATA, else the user's cache."""
    return Path(root or os.environ.get("PCCLUST_DATA") or DEFAULT_ROOT).expanduser()


def find_layout(
    dataset: str, root: Path, folders: Sequence[str], layouts: Sequence[Layout]
) -> tuple[Layout, Path]:
    """Returns the first layout that ``root``, or one of its ``folders``, has, and where.

    Raises:
        FileNotFoundError: there is no such root.
        LayoutError: none of the layouts is there; says what was looked for and what was found.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"{dataset}: the folder {root} does not exist; give the folder that holds the data, "
            f"set PCCLUST_DATA, or see `pcclust data list`"
        )
    for folder in (root, *(root / name for name in folders)):
        for layout in layouts:
            if folder.is_dir() and layout.matches(folder):
                return layout, folder
    wanted = "".join(f"\n  - {layout.description}" for layout in layouts)
    places = ", ".join(folders)
    raise LayoutError(
        f"{dataset}: no known layout in {root}{f' or its {places}' if places else ''}. "
        f"Looked for:{wanted}\nFound: {describe_folder(root)}"
    )


def describe_folder(folder: Path) -> str:
    """Returns the first entries of a folder in words."""
    entries = sorted(f"{entry.name}{'/' if entry.is_dir() else ''}" for entry in folder.iterdir())
    more = f" and {len(entries) - SHOWN} more" if len(entries) > SHOWN else ""
    return ", ".join(entries[:SHOWN]) + more if entries else "nothing, the folder is empty"


def require_files(dataset: str, listed_in: Path, paths: Sequence[Path]) -> None:
    """Raises LayoutError if a split list names files that are not there."""
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise LayoutError(
            f"{dataset}: {listed_in} names {len(paths)} files, of which {len(missing)} are not "
            f"there, first {missing[0]}; unpack the whole dataset again"
        )


def require_split(dataset: str, split: str, known: Sequence[str]) -> None:
    """Raises ValueError if a dataset has no such split."""
    if split not in known:
        raise ValueError(f"{dataset} has the splits {', '.join(known)}; got {split!r}")


class FileStorage:
    """Points in one file per shape: meshes are sampled by area, clouds are drawn from.

    Each shape is sampled with a seed of its own, so that it comes out the same whatever is read
    before it. Reading is slow next to HDF5: `pcclust data prepare` does it once and for all.

    Args:
        paths: the files.
        num_points: the points of every shape.
        seed: of the sampling.
    """

    block = 1
    in_memory = False

    def __init__(self, paths: Sequence[Path], num_points: int, seed: int) -> None:
        self.paths = list(paths)
        self.num_points = num_points
        self.seed = seed

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, rows: Tensor) -> Tensor:
        """Returns the points ``(B, P, 3)`` of the shapes ``rows`` ``(B,)``."""
        out = torch.empty(len(rows), self.num_points, 3)
        for at, row in enumerate(rows.tolist()):
            out[at] = torch.from_numpy(self.read_file(self.paths[row], shape_seed(self.seed, row)))
        return out

    def read_file(self, path: Path, seed: int) -> np.ndarray:
        """Returns the points ``(P, 3)`` float32 of one file."""
        points = read_points(path, self.num_points, seed, dtype=np.float64)
        _check_not_repeated(points, path)
        return in_float32(torch.tensor(points)).numpy()

    def read_parts(self, rows: Tensor) -> Tensor | None:
        """Returns None: files of meshes and clouds know no parts."""
        return None


class TableStorage(FileStorage):
    """Points in one text file per shape, a point a line: x y z, more columns, perhaps its part.

    Args:
        paths: the files.
        num_points: the points of every shape.
        seed: of the drawing.
        delimiter: between columns; white space if None.
        drawn: whether points are drawn at random without replacement, in their order, or the
            first ones are taken, as published pipelines do.
        part_column: where the part of a point is written, if anywhere.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        num_points: int,
        seed: int,
        *,
        delimiter: str | None = None,
        drawn: bool = False,
        part_column: int | None = None,
    ) -> None:
        super().__init__(paths, num_points, seed)
        self.delimiter = delimiter
        self.drawn = drawn
        self.part_column = part_column

    def read_file(self, path: Path, seed: int) -> np.ndarray:
        """Returns the points ``(P, 3)`` float32 of one file."""
        points = self._table(path, seed)[:, :3]
        wrong = ~np.isfinite(points).all(axis=1)
        if wrong.any():
            raise ValueError(f"{path}: points[{wrong.argmax()}] is not finite")
        return in_float32(torch.tensor(points)).numpy()

    def read_parts(self, rows: Tensor) -> Tensor | None:
        """Returns the part of each point ``(B, P)``, or None without a column of parts."""
        if self.part_column is None:
            return None
        tables = (self._table(self.paths[r], shape_seed(self.seed, r)) for r in rows.tolist())
        parts = np.stack([table[:, self.part_column] for table in tables])
        return torch.from_numpy(parts.astype(np.uint8))

    def _table(self, path: Path, seed: int) -> np.ndarray:
        limit = None if self.drawn else self.num_points
        try:
            table = np.loadtxt(path, delimiter=self.delimiter, max_rows=limit, ndmin=2)
        except ValueError as error:
            raise ValueError(f"{path} is not a table of points: {error}") from error
        if len(table) < self.num_points or table.shape[1] < 3:
            raise ValueError(
                f"{path} has {len(table)} points of {table.shape[1] if table.size else 0} columns; "
                f"num_points={self.num_points} of at least 3 were asked for"
            )
        if not self.drawn:
            return table
        generator = np.random.default_rng(seed)
        kept = generator.choice(len(table), self.num_points, replace=False, shuffle=False)
        return table[np.sort(kept)]


def _check_not_repeated(points: np.ndarray, path: Path) -> None:
    """Raises ValueError if the points of a small cloud were repeated to make up the number."""
    if len(np.unique(points, axis=0)) == len(points):
        return
    whole = read_points(path, dtype=np.float64)
    rows = {row.tobytes() for row in whole}
    # Samples of a mesh may coincide by rounding, but are not all among another sample of it.
    if len(whole) < len(points) and all(row.tobytes() in rows for row in points):
        raise ValueError(
            f"{path} has {len(whole)} points, num_points={len(points)} were asked for; ask for "
            "fewer or leave it out"
        )


def shape_seed(seed: int, row: int) -> int:
    """Returns the seed of one shape, the same whatever is read before it."""
    return int(np.random.SeedSequence([seed, row]).generate_state(1)[0])
