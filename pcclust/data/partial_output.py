"""Where `pcclust rri` writes: first into a folder beside the output, then under its final name.

The folder ``NAME.partial`` takes whole files only, each renamed into place, so that an interruption
at any instant, even a killed process, leaves nothing half-written and can be continued.
"""

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust._files import write_whole
from pcclust._names import counted

SETTINGS_FILE = "settings.json"


@dataclass(frozen=True)
class Settings:
    """What determines the features; an interrupted run goes on only with the same."""

    k: int
    num_points: int | None
    seed: int
    format: str
    pcclust: str


class FeatureBatch(NamedTuple):
    """Features of some shapes.

    Attributes:
        names: of the B shapes.
        sizes: ``(B,)`` int64, points of each.
        centroids: ``(B, 3)`` float64, in the unit and position of the file.
        points: ``(ΣN, 3)`` float32, relative to the centroid.
        features: ``(ΣN, k, 4)`` float32.
    """

    names: list[str]
    sizes: NDArray[np.int64]
    centroids: NDArray[np.float64]
    points: NDArray[np.float32]
    features: NDArray[np.float32]


class FeatureOutput(ABC):
    """Takes batches of features; an output appears under its final name only when finished."""

    def __init__(self, out: Path, settings: Settings, resume: bool) -> None:
        """Opens the partial folder, which shows whether the output can be written."""
        self.out = out
        self.settings = settings
        self.partial = partial_folder(out)
        open_partial(self.partial, asdict(settings), resume)

    @abstractmethod
    def done(self) -> set[str]:
        """Returns the names of the shapes that are safely stored."""

    @abstractmethod
    def add(self, batch: FeatureBatch) -> None:
        """Stores the features of some shapes."""

    @abstractmethod
    def finish(self) -> str:
        """Moves everything under the final name and returns a description of it."""

    def discard_if_empty(self) -> None:
        """Removes the partial folder where no shape is stored in it."""
        if self.partial.is_dir() and not self.done():
            shutil.rmtree(self.partial)


def partial_folder(out: Path) -> Path:
    """Returns the folder that an unfinished output lives in."""
    return out.with_name(out.name + ".partial")


def check_destination(out: Path, folder_of_clouds: bool) -> None:
    """Raises OSError where ``out`` cannot become a file, or a new folder of clouds."""
    folder = out.absolute().parent
    if not folder.exists():
        raise FileNotFoundError(f"--out {out}: the folder {folder} does not exist; create it first")
    if not folder.is_dir():
        raise NotADirectoryError(f"--out {out}: {folder} is a file, not a folder")
    if not folder_of_clouds and out.is_dir():
        raise IsADirectoryError(f"--out {out} is a folder; name the file to write in it")
    if folder_of_clouds and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"--out {out} is there already: remove it or choose another name")


def open_partial(folder: Path, settings: dict[str, object], resume: bool) -> None:
    """Makes the folder of an unfinished output, or opens the one that is there.

    Args:
        folder: see `partial_folder`.
        settings: which an interrupted run must have had, too.
        resume: whether there may be one.

    Raises:
        ValueError: there is one and it is not to be resumed, or it had other settings.
        OSError: nothing can be written there.
    """
    stored = folder / SETTINGS_FILE
    if folder.is_dir() and not resume:
        raise ValueError(
            f"{folder} is what an interrupted run has left: "
            "continue it with --resume, or remove it to begin anew"
        )
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OSError(f"cannot write into {folder.parent}: {error.strerror}") from error
    if stored.exists():
        _check_same(folder, json.loads(stored.read_text()), settings)
    else:
        write_whole(stored, json.dumps(settings).encode())


def _check_same(folder: Path, before: dict[str, object], now: dict[str, object]) -> None:
    different = [name for name in now if before.get(name) != now[name]]
    if different:
        was = ", ".join(f"{name}={before.get(name)}" for name in different)
        wanted = ", ".join(f"{name}={now[name]}" for name in different)
        raise ValueError(
            f"{folder} was begun with {was}, but now {wanted} is asked for: "
            "use the same settings, or remove it to begin anew"
        )


def refuse_unexpected(partial: Path, done: Collection[str], names: Collection[str]) -> None:
    """Raises ValueError where an interrupted run has stored shapes that are not asked for now.

    Args:
        partial: the folder that it has left.
        done: the shapes in it.
        names: those of the inputs.
    """
    unexpected = sorted(set(done) - set(names))
    if unexpected:
        others = counted(len(unexpected) - 1, "other shape")
        what = f"and {others} that are" if unexpected[1:] else "which is"
        raise ValueError(
            f"{partial} holds {unexpected[0]} {what} not among the inputs now: name the same "
            "inputs, or remove it to begin anew"
        )
