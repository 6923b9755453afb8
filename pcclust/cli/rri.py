"""``pcclust rri``: rotation-invariant features of files, folders and patterns."""

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from pcclust._lock import locked_file
from pcclust._names import counted
from pcclust._version import __version__
from pcclust.cli._sharded import Sharding
from pcclust.cli.console import (
    ExitCode,
    UsageError,
    already_there,
    errors,
    output,
    progress_bar,
    report_failures,
)
from pcclust.data import NamedCloud, ReadFailure
from pcclust.data.cloud_folder import CloudFolder
from pcclust.data.feature_arrays import FeatureArrays
from pcclust.data.partial_output import (
    FeatureOutput,
    Settings,
    check_destination,
    is_complete,
    partial_folder,
    refuse_unexpected,
)
from pcclust.data.rri_batch import POINTS_PER_BATCH, describe_readable
from pcclust.data.shape_source import ShapeSource, in_batches
from pcclust.data.streaming import ReadResult
from pcclust.distributed.describers import RRIDescriber

CLOUD_FORMATS = ("ply", "pcd")
FORMAT_OF_SUFFIX = {".h5": "h5", ".hdf5": "h5", ".npz": "npz"}


@dataclass(frozen=True, kw_only=True)
class Rri(Sharding):
    """Computes rotation-invariant features (RRI) of every point of many shapes.

    Each point is described by four numbers for each of its k nearest neighbours: r_i, r_ik, θ_ik
    and φ_ik (see pcclust.rri). A file that cannot be read is named at the end and stops nothing.
    Until it is complete, the output is a folder NAME.partial beside its final place.

    Attributes:
        paths: files, folders (searched at all levels) and quoted patterns such as 'a/**/*.txt'.
            OFF, OBJ, PLY, STL, GLB, glTF, PCD, XYZ, PTS, TXT, CSV, NPY, NPZ, HDF5, LAS, LAZ;
            in folders, TXT and CSV are passed over, since they often are notes. Or the name of a
            dataset in $PCCLUST_DATA, such as modelnet40.
        out: the file to write, NAME.h5 or NAME.npz, with the arrays points (relative to the
            centroids), neighbors (of each point, nearest first), features, names and centroids, and
            offsets where the shapes differ in size; with --format a new folder of one file per
            shape, with --shards one of Parquet files.
        k: how many neighbours describe a point.
        split: of a dataset that has splits; by default "train".
        num_points: how many points to take from each shape. Without it a mesh gives 1,024 and a
            cloud all it has.
        format: write clouds for a viewer instead, with four scalars per point: r_i, the means of
            r_ik and θ_ik over the neighbours, and the largest φ_ik.
        workers: processes that read files, 0 for none; by default as many as pay, and none with
            --shards.
    """

    paths: Annotated[tuple[str, ...], Positional, arg(metavar="PATH…")]
    out: str
    k: int = 20
    split: str | None = None
    num_points: int | None = None
    seed: int = 0
    format: Literal["ply", "pcd"] | None = None
    resume: bool = False
    workers: int | None = None

    def run(self) -> int:
        """Writes the features and says what came of it."""
        _check_options(self.paths, self.k, self.num_points)
        if self.shards is not None:
            return self._run_sharded()
        self.refuse_unsharded()
        out = Path(self.out)
        kind = _output_kind(out, self.format)
        if self.resume and is_complete(out):
            return already_there(out)
        check_destination(out, kind in CLOUD_FORMATS)
        source = ShapeSource(
            self.paths,
            split=self.split,
            num_points=self.num_points,
            seed=self.seed,
            ignore=[out, partial_folder(out)],
        )
        settings = Settings(self.k, self.num_points, self.seed, kind, __version__)
        with locked_file(out):
            return _write(source, out, settings, self.resume, self.workers)

    def _run_sharded(self) -> int:
        """Writes shards of features."""
        if self.format is not None:
            raise UsageError(f"--format {self.format} writes clouds for a viewer, --shards Parquet")
        describer = RRIDescriber(
            k=self.k, num_points=self.num_points, seed=self.seed, dtype=self.dtype
        )
        return self.run_shards(self.paths, self.split, self.out, describer, self.workers or 0)


def _write(
    source: ShapeSource, out: Path, settings: Settings, resume: bool, workers: int | None
) -> int:
    """Describes what is not described yet, and says what came of it."""
    names = source.names()
    store = _open_output(out, settings, resume, names)
    start, done = time.perf_counter(), store.done()
    stream = source.read(done, workers)
    try:
        failures = _describe_all(stream, store, len(names) - len(done), settings.k)
        return _finish(store, failures, len(done), time.perf_counter() - start)
    except KeyboardInterrupt:
        errors.print(f"Interrupted; {_kept(store)}")
        return ExitCode.INTERRUPTED
    finally:
        store.discard_if_empty()


def _check_options(paths: Sequence[str], k: int, num_points: int | None) -> None:
    """Refuses what cannot work before anything is read."""
    if not paths:
        raise UsageError("name at least one file, folder or pattern to read")
    if num_points is not None and num_points <= k:
        raise UsageError(
            f"--num-points {num_points} is too few for --k {k}: "
            f"a point then has {max(num_points - 1, 0)} neighbours"
        )


def _output_kind(out: Path, format: str | None) -> str:
    """Returns ``"h5"``, ``"npz"``, ``"ply"`` or ``"pcd"``."""
    suffix = out.suffix.lower()
    if format is None:
        if suffix not in FORMAT_OF_SUFFIX:
            raise UsageError(
                f"--out {out} must end in .h5 or .npz, or be given --format ply or pcd"
            )
        return FORMAT_OF_SUFFIX[suffix]
    if suffix in (*FORMAT_OF_SUFFIX, ".ply", ".pcd"):
        raise UsageError(f"--format {format} writes a file per shape: --out {out} is no folder")
    return format


def _open_output(out: Path, settings: Settings, resume: bool, names: list[str]) -> FeatureOutput:
    store: FeatureOutput
    if settings.format in CLOUD_FORMATS:
        store = CloudFolder(out, settings, resume, names)
    else:
        store = FeatureArrays(out, settings, resume)
    refuse_unexpected(store.partial, store.done(), names)
    return store


def _describe_all(
    stream: Generator[ReadResult, None, None], store: FeatureOutput, total: int, k: int
) -> list[ReadFailure]:
    """Stores the features of all shapes and returns those that have none."""
    failures: list[ReadFailure] = []
    with closing(stream), progress_bar("shapes") as bar:
        task = bar.add_task("RRI", total=total)
        described = 0
        for clouds, unread in in_batches(stream, _is_full):
            batch, refused = describe_readable(clouds, k)
            if batch is not None:
                store.add(batch)
            failures += [*unread, *refused]
            described += sum(len(cloud.points) for cloud in clouds)
            bar.update(task, description=f"RRI, {counted(described, 'point')}")
            bar.advance(task, len(clouds) + len(unread))
    return failures


def _is_full(clouds: list[NamedCloud]) -> bool:
    return sum(len(cloud.points) for cloud in clouds) >= POINTS_PER_BATCH


def _finish(store: FeatureOutput, failures: list[ReadFailure], before: int, seconds: float) -> int:
    stored = len(store.done())
    if stored:
        what = store.finish()
        rate = f"{(stored - before) / seconds:,.1f} shapes/s" if stored > before else "none new"
        output.print(f"{store.out}: {counted(stored, 'shape')}, {what}; {seconds:.1f} s, {rate}")
    else:
        errors.print(f"Nothing is written to {store.out}.")
    return report_failures(failures)


def _kept(store: FeatureOutput) -> str:
    count = len(store.done())
    if count == 0:
        return "no shape was complete, so nothing is kept."
    kept = f"{counted(count, 'shape')} {'is' if count == 1 else 'are'} kept"
    return f"{kept} in {store.partial}: the same command with --resume goes on."
