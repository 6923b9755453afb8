"""``pcclust data``: datasets to fetch, to verify, to prepare and to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from tyro.conf import Positional, arg

from pcclust._names import counted
from pcclust.cli._help import purpose
from pcclust.cli._options import in_options
from pcclust.cli.console import ExitCode, UsageError, already_there, errors, output, progress_bar
from pcclust.data import PointDataset
from pcclust.data.dataset import UpAxis
from pcclust.data.fetch import fetch, read_manifest, verify
from pcclust.data.layouts import data_root
from pcclust.data.named import NAMED, open_named
from pcclust.data.partial_output import is_complete
from pcclust.data.prepare import prepare
from pcclust.data.registry import SOURCES, find_source
from pcclust.report.contact_sheet import Sheet, sheet_of, write_html, write_png

Name = Annotated[str, Positional, arg(metavar="NAME")]
Names = Annotated[tuple[str, ...], Positional, arg(metavar="[NAME…]")]
Dataset = Annotated[str, Positional, arg(metavar="DATASET")]


@dataclass(frozen=True)
class List:
    """Lists the datasets that can be fetched, with size, terms and where they are.

    Attributes:
        root: the folder of all datasets; $PCCLUST_DATA, else the user's cache.
    """

    root: Path | None = None

    def run(self) -> int:
        """Prints the table."""
        root = data_root(self.root)
        table = Table("name", "what", "size", "SHA-256", "here", box=None)
        for source in SOURCES.values():
            known = "gated" if source.gate else "known" if source.sha256 else "recorded on fetch"
            here = "yes" if (root / source.result).exists() else "no"
            table.add_row(source.name, source.title, _size(source.size), known, here)
        output.print(table)
        output.print(f"\nThose that are here have a name in every command: {', '.join(NAMED)}.")
        return ExitCode.DONE


@dataclass(frozen=True)
class Fetch:
    """Downloads a dataset, checks it and unpacks it; an interrupted download goes on.

    Attributes:
        name: as `pcclust data list` has it.
        root: the folder of all datasets; $PCCLUST_DATA, else the user's cache.
        offline: refuse to connect; PCCLUST_OFFLINE=1 does the same.
    """

    name: Name
    root: Path | None = None
    offline: bool = False

    def run(self) -> int:
        """Shows the terms and fetches."""
        source = find_source(self.name)
        output.print(f"{source.title}\nTerms: {source.terms}")
        with _transfer_bar() as bar:
            task = bar.add_task(source.name, total=source.size)
            got = fetch(
                source,
                data_root(self.root),
                offline=self.offline,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        if got.url is None:
            output.print(f"{got.path} is there already")
        elif got.known:
            output.print(f"{got.path}: SHA-256 {got.sha256} as expected")
        else:
            how = "" if got.url.startswith("https:") else ", which came unencrypted"
            output.print(
                f"{got.path}: no SHA-256 is published; recorded {got.sha256}{how}, by which later "
                "downloads are checked"
            )
        return ExitCode.DONE


@dataclass(frozen=True)
class Verify:
    """Checks fetched datasets file by file against what was recorded.

    Attributes:
        names: datasets; all that were fetched if none are named.
        root: the folder of all datasets; $PCCLUST_DATA, else the user's cache.
    """

    names: Names = ()
    root: Path | None = None

    def run(self) -> int:
        """Prints what is wrong."""
        root = data_root(self.root)
        sources = [find_source(name) for name in self.names] or [
            source for source in SOURCES.values() if read_manifest(source, root)
        ]
        if not sources:
            output.print(f"nothing was fetched into {root}")
        faults = {source.name: verify(source, root) for source in sources}
        for name, found in faults.items():
            output.print(f"{name}: {counted(len(found), 'fault') if found else 'whole'}")
            for fault in found:
                errors.print(f"  {fault}")
        return ExitCode.FAILED if any(faults.values()) else ExitCode.DONE


@dataclass(frozen=True)
class Where:
    """Says where datasets are, or would be put.

    Attributes:
        name: a dataset; the folder of all of them if none is named.
        root: the folder of all datasets; $PCCLUST_DATA, else the user's cache.
    """

    name: Annotated[str | None, Positional, arg(metavar="[NAME]")] = None
    root: Path | None = None

    def run(self) -> int:
        """Prints the path."""
        root = data_root(self.root)
        path = root / find_source(self.name).result if self.name else root
        output.print(str(path))
        if not path.exists():
            errors.print("(not there yet)")
        return ExitCode.DONE


@dataclass(frozen=True)
class Prepare:
    """Turns any dataset or folder of shapes into one compact HDF5 file.

    Files that cannot be read are named at the end and stop nothing (exit code 1).

    Attributes:
        dataset: a name such as modelnet40, a known dataset's folder, or a folder of meshes or
            clouds whose sub-folders are classes.
        out: the file to write.
        split: of a dataset that has splits.
        num_points: the points of every shape; 1,024 of meshes.
        raw: keep position and size instead of centring and scaling to the unit sphere.
        up_axis: the axis against gravity, where the dataset does not know it.
        resume: continue what an interrupted run of the same settings has left.
        workers: processes that read meshes, 0 for none; by default as many as pay.
    """

    dataset: Dataset
    out: Path
    split: str | None = None
    num_points: int | None = None
    seed: int = 0
    raw: bool = False
    up_axis: UpAxis | None = None
    resume: bool = False
    workers: int | None = None

    def run(self) -> int:
        """Prepares and names what could not be read."""
        if self.resume and is_complete(self.out):
            return already_there(self.out)
        dataset = _opened(self.dataset, self.split, self.num_points, self.seed)
        dataset.up_axis = self.up_axis or dataset.up_axis
        with progress_bar("shapes") as bar:
            task = bar.add_task("reading", total=len(dataset))
            try:
                made = prepare(
                    dataset,
                    self.out,
                    normalize=not self.raw,
                    resume=self.resume,
                    workers=self.workers,
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                )
            except KeyboardInterrupt:
                errors.print(
                    "Interrupted; what is read is kept: the same command with --resume goes on."
                )
                return ExitCode.INTERRUPTED
        for failure in made.failures:
            errors.print(f"  {in_options(failure.reason)}")
        lost = f", {len(made.failures)} could not be read" if made.failures else ""
        size = _size(made.path.stat().st_size)
        output.print(f"{made.path}: {counted(made.count, 'shape')}, {size}{lost}")
        return ExitCode.FAILED if made.failures else ExitCode.DONE


@dataclass(frozen=True)
class Show:
    """Makes a contact sheet: a few shapes of each class.

    Attributes:
        dataset: a name such as modelnet40, an HDF5 file, a known dataset's folder or a folder of
            shapes.
        out: NAME.png, a picture, or NAME.html, a page with views to turn.
        split: of a dataset that has splits.
        classes: only these, separated by commas.
        per_class: how many shapes of each class, the first ones.
        num_points: the points of every shape.
        up_axis: the axis against gravity, where the dataset does not know it (OBJ: y).
    """

    dataset: Dataset
    out: Path
    split: str | None = None
    classes: str | None = None
    per_class: int = 6
    num_points: int | None = None
    up_axis: UpAxis | None = None

    def run(self) -> int:
        """Writes the sheet."""
        write = {".png": write_png, ".html": write_html}.get(self.out.suffix.lower())
        if write is None:
            raise UsageError(f"--out {self.out} must end in .png or .html")
        dataset = _opened(self.dataset, self.split, self.num_points, 0)
        dataset.up_axis = self.up_axis or dataset.up_axis
        if self.classes:
            dataset = dataset.select_classes(self.classes.split(","))
        sheet: Sheet = sheet_of(dataset, Path(self.dataset).name, self.per_class)
        write(sheet, self.out)
        shown = sum(len(row.names) for row in sheet.rows)
        output.print(f"{self.out}: {counted(shown, 'shape')} in {counted(len(sheet.rows), 'row')}")
        return ExitCode.DONE


KIND, MORE = "action", "pcclust data ACTION --help says more, with an example."
# Each with an example.
ACTIONS = {
    "list": "pcclust data list",
    "fetch": "pcclust data fetch modelnet40-hdf5",
    "verify": "pcclust data verify",
    "where": "pcclust data where modelnet40-hdf5",
    "prepare": "pcclust data prepare data/meshes --out meshes.h5",
    "show": "pcclust data show data/furniture.h5 --out furniture.html",
}
_ACTIONS: dict[str, type[Any]] = {
    "list": List,
    "fetch": Fetch,
    "verify": Verify,
    "where": Where,
    "prepare": Prepare,
    "show": Show,
}


def purposes() -> dict[str, str]:
    """Returns what each action does."""
    return {name: purpose(kind) for name, kind in _ACTIONS.items()}


def action(name: str, arguments: Sequence[str]) -> tuple[type[Any], None]:
    """Returns the action of a name."""
    return _ACTIONS[name], None


def _opened(data: str, split: str | None, num_points: int | None, seed: int) -> PointDataset:
    return open_named(data, split, num_points=num_points, seed=seed)


def _size(size: int | None) -> str:
    if size is None:
        return "not published"
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _transfer_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=errors,
        disable=not errors.is_terminal,
    )
