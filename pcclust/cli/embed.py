"""``pcclust embed``: one vector for each shape, by a trained encoder."""

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor
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
from pcclust.data import ReadFailure
from pcclust.data.embedding_file import EmbeddedBatch, EmbeddingOutput, EmbeddingSettings
from pcclust.data.partial_output import (
    check_destination,
    is_complete,
    partial_folder,
    refuse_unexpected,
)
from pcclust.data.shape_source import ShapeSource, in_fixed_batches
from pcclust.distributed.describers import EmbedDescriber
from pcclust.evaluate.embedding import Encoding, in_unit_sphere
from pcclust.evaluate.forward import Precision, Predictor, randomness
from pcclust.evaluate.precision import check_precision
from pcclust.nn.clusterer import encoder_of_shapes
from pcclust.nn.weights import load, read_card
from pcclust.training.allocator import keep_freed_memory

SUFFIXES = (".npz", ".h5", ".hdf5")
DEFAULT_POINTS = 1024


@dataclass(frozen=True, kw_only=True)
class Embed(Sharding):
    """Describes each shape by one vector.

    That serves pcclust cluster, a linear probe or a search. Shapes are centred and scaled to the
    unit sphere. A file that cannot be read is named at the end and stops nothing. Until it is
    complete, the output is a folder NAME.partial beside its place.

    Attributes:
        paths: files, folders and quoted patterns as for pcclust rri; or a single dataset (an HDF5
            file, a folder, or modelnet10 or modelnet40 in $PCCLUST_DATA), whose labels are kept.
        out: the file to write, NAME.npz or NAME.h5: features (N, C), names, where they are known
            labels and class_names, and with --points the points; or with --shards a folder.
        split: of a dataset that has splits; by default "train".
        num_points: how many points to take from each shape; by default as in the training.
        points: write the points, too, so that pcclust cluster can show the shapes.
        batch_size: shapes that are described at once.
        precision: bfloat16 is faster on processors and GPUs that multiply in it, and changes the
            vectors of the encoder that comes with pcclust by 0.1 % of their length; vectors are
            stored in float32 in any case.
        workers: processes that read files, 0 for none; by default as many as pay, and none with
            --shards.
    """

    paths: Annotated[tuple[str, ...], Positional, arg(metavar="PATH…")]
    weights: str
    out: str
    split: str | None = None
    num_points: int | None = None
    points: bool = False
    batch_size: int = 32
    device: str | None = None
    precision: Precision = "float32"
    seed: int = 0
    resume: bool = False
    workers: int | None = None

    def run(self) -> int:
        """Writes the vectors and says what came of it."""
        if self.shards is not None:
            return self._run_sharded()
        self.refuse_unsharded()
        out = Path(self.out)
        _check_options(self.paths, out)
        if self.resume and is_complete(out):
            return already_there(out)
        check_destination(out, False)
        check_precision(self.precision, self.device)
        keep_freed_memory()
        model = load(self.weights)
        encoder, card = encoder_of_shapes(model, self.weights), model.__dict__["card"]
        count = self.num_points or card.get("num_points") or DEFAULT_POINTS
        source = ShapeSource(
            self.paths,
            split=self.split,
            num_points=count,
            seed=self.seed,
            ignore=[out, partial_folder(out)],
            labelled=True,
        )
        settings = EmbeddingSettings(
            self.weights,
            card["sha256"],
            count,
            self.points,
            self.seed,
            self.precision,
            __version__,
        )
        with locked_file(out):
            store = EmbeddingOutput(out, settings, self.resume)
            refuse_unexpected(store.partial, store.done(), source.names())
            encoding = Encoding(encoder, self.batch_size, self.device, self.precision)
            return _write(source, store, encoding, self.workers)

    def _run_sharded(self) -> int:
        """Writes shards of vectors."""
        check_precision(self.precision, self.device)
        keep_freed_memory()
        card = read_card(self.weights)
        describer = EmbedDescriber(
            weights=self.weights,
            weights_sha256=card["sha256"],
            num_points=self.num_points or card.get("num_points") or DEFAULT_POINTS,
            points=self.points,
            seed=self.seed,
            precision=self.precision,
            batch_size=self.batch_size,
            dtype=self.dtype,
            device=self.device,
        )
        return self.run_shards(self.paths, self.split, self.out, describer, self.workers or 0)


def _write(
    source: ShapeSource,
    store: EmbeddingOutput,
    encoding: Encoding,
    workers: int | None,
) -> int:
    """Describes what is not described yet, and says what came of it."""
    start = time.perf_counter()
    try:
        failures = _embed_all(source, store, encoding, workers)
        return _finish(store, source, failures, time.perf_counter() - start)
    except KeyboardInterrupt:
        stored = len(store.done())
        kept = counted(stored, "shape")
        errors.print(f"Interrupted after {kept}; the same command with --resume goes on")
        return ExitCode.INTERRUPTED
    finally:
        store.discard_if_empty()


def _check_options(paths: tuple[str, ...], out: Path) -> None:
    """Refuses what cannot work before anything is read."""
    if not paths:
        raise UsageError("name at least one file, folder, pattern or dataset to read")
    if out.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--out {out} must end in .npz or .h5")


def _embed_all(
    source: ShapeSource,
    store: EmbeddingOutput,
    encoding: Encoding,
    workers: int | None,
) -> list[ReadFailure]:
    """Stores the features of all shapes and returns those that have none."""
    failures: list[ReadFailure] = []
    done, labels = store.done(), source.labels()
    read = source.read(done, workers)
    predictor: Predictor | None = None
    with closing(read), progress_bar("shapes") as bar:
        stream = map(in_unit_sphere, read)
        task = bar.add_task("features", total=len(set(labels) - done))
        for shapes, unread in in_fixed_batches(stream, list(labels), encoding.batch_size):
            if shapes:
                points = torch.stack([torch.from_numpy(shape.points) for shape in shapes])
                if predictor is None:
                    predictor = encoding.predictor(points)
                    _say_if_random(predictor, points)
                found = _describe(predictor, points, [shape.name for shape in shapes], labels)
                store.add(found)
            failures += unread
            bar.advance(task, len(shapes) + len(unread))
    return failures


def _say_if_random(predictor: Predictor, points: Tensor) -> None:
    """Says of an encoder that answers twice differently that its features are one of many."""
    said = randomness(predictor.own_change(points))
    if said:
        errors.print(f"{said} So do the features that are written.")


def _describe(
    predictor: Predictor, points: Tensor, names: list[str], labels: dict[str, int]
) -> EmbeddedBatch:
    known = np.array([labels[name] for name in names], dtype=np.int64)
    return EmbeddedBatch(names, predictor(points).numpy(), known, points.numpy())


def _finish(
    store: EmbeddingOutput, source: ShapeSource, failures: list[ReadFailure], seconds: float
) -> int:
    if store.folder.parts:
        up_axis = source.up_axis if store.settings.points else None
        count, width = store.finish(source.class_names, up_axis)
        made = f"{counted(count, 'shape')}, features ({count}, {width})"
        output.print(f"{store.out}: {made}; {seconds:.1f} s")
    else:
        errors.print(f"Nothing is written to {store.out}.")
    return report_failures(failures)
