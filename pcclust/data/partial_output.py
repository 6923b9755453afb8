"""Where long work writes: first into a folder beside the output, then under its final name.

The folder ``NAME.partial`` takes whole files only, each renamed into place, so that an interruption
at any instant, even a killed process, leaves nothing half-written and can be continued.
"""

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcclust._files import whole_file, write_whole
from pcclust._names import counted

SETTINGS_FILE = "settings.json"
AnySettings = TypeVar("AnySettings")


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
        neighbors: ``(ΣN, k)`` int32, which points of its shape they are of, nearest first.
    """

    names: list[str]
    sizes: NDArray[np.int64]
    centroids: NDArray[np.float64]
    points: NDArray[np.float32]
    features: NDArray[np.float32]
    neighbors: NDArray[np.int32]


class ChangedSettingsError(ValueError):
    """An interrupted run had other settings than the one that is to go on."""


class PartialFolder:
    """The folder of an unfinished output: what determines it, and numbered parts of arrays.

    Args:
        out: the output; the folder is ``NAME.partial`` beside it.
        settings: what determines the output; an interrupted run goes on only with the same.
        resume: whether an interrupted run may have left the folder.

    Raises:
        ChangedSettingsError: it was begun with other settings.
        ValueError: it is there and is not to be resumed.
        OSError: nothing can be written there.
    """

    def __init__(self, out: Path, settings: dict[str, object], *, resume: bool) -> None:
        self.out = out
        self.path = partial_folder(out)
        open_partial(self.path, settings, resume)

    @property
    def parts(self) -> list[Path]:
        """The parts that are there, in order."""
        return sorted(self.path.glob("[0-9]*.npz"))

    def part(self, number: int) -> Path:
        """Returns the file of a part, whether or not it is there."""
        return self.path / f"{number:06d}.npz"

    def save(self, arrays: Mapping[str, ArrayLike], number: int | None = None) -> None:
        """Stores a part, by default the next one; it appears when it is whole."""
        with whole_file(self.part(len(self.parts) if number is None else number)) as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def read(self, name: str) -> Iterator[NDArray[Any]]:
        """Yields an array of every part."""
        for part in self.parts:
            with np.load(part, allow_pickle=False) as arrays:
                yield arrays[name]

    def names(self) -> list[str]:
        """Returns the names of the shapes that are safely stored."""
        return [str(name) for names in self.read("names") for name in names]

    @contextmanager
    def completing(self) -> Iterator[None]:
        """Says of what cannot be written within (a full disk) what is kept and how to go on."""
        try:
            yield
        except (OSError, RuntimeError) as error:  # HDF5 raises either, with pages of details
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise OSError(
                f"{self.out} could not be completed ({reason}); what is done is kept in "
                f"{self.path}: make room if the disk is full, and go on with --resume"
            ) from error

    def remove(self) -> None:
        """Removes the folder and all that is in it, so that at any instant a run can go on."""
        for part in reversed(self.parts):  # those that are left are the first, and have settings
            part.unlink()
        shutil.rmtree(self.path)


class PartialOutput(Generic[AnySettings]):
    """Takes batches of shapes; an output appears under its final name only when finished.

    Args:
        out: the final name.
        settings: a dataclass of what determines the output.
        resume: whether to go on with what an interrupted run has left.

    Raises:
        ValueError: it has left something and is not to be resumed, or is of other settings.
        OSError: nothing can be written there.
    """

    def __init__(self, out: Path, settings: AnySettings, resume: bool) -> None:
        self.out = out
        self.settings = settings
        self.folder = PartialFolder(out, asdict(settings), resume=resume)  # type: ignore[call-overload]
        self.partial = self.folder.path

    def done(self) -> set[str]:
        """Returns the names of the shapes that are safely stored."""
        return set(self.folder.names())

    def discard_if_empty(self) -> None:
        """Removes the partial folder where no shape is stored in it."""
        if self.partial.is_dir() and not self.done():
            self.folder.remove()


class FeatureOutput(PartialOutput[Settings], ABC):
    """Takes batches of RRI features."""

    @abstractmethod
    def add(self, batch: FeatureBatch) -> None:
        """Stores the features of some shapes."""

    @abstractmethod
    def finish(self) -> str:
        """Moves everything under the final name and returns a description of it."""


def partial_folder(out: Path) -> Path:
    """Returns the folder that an unfinished output lives in."""
    return out.with_name(out.name + ".partial")


def is_complete(out: Path) -> bool:
    """Returns whether an output is there, with no unfinished one beside it."""
    return out.exists() and not partial_folder(out).exists()


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
    if not stored.exists() and any(folder.glob("[0-9]*.npz")):
        raise ChangedSettingsError(
            f"{folder} does not say what it was begun with: remove it to begin anew"
        )
    if stored.exists():
        _check_same(folder, json.loads(stored.read_text()), settings)
    else:
        write_whole(stored, json.dumps(settings).encode())


def _check_same(folder: Path, before: dict[str, object], now: dict[str, object]) -> None:
    different = [name for name in now if before.get(name) != now[name]]
    if different:
        was = ", ".join(f"{name}={before.get(name)}" for name in different)
        wanted = ", ".join(f"{name}={now[name]}" for name in different)
        raise ChangedSettingsError(
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
