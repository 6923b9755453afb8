"""``pcclust view``: any shapes on one page, to be turned and coloured."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tyro.conf import Positional, arg

from pcclust._files import write_whole
from pcclust._names import counted
from pcclust.cli.console import UsageError, output, report_failures
from pcclust.data import PointDataset, ReadFailure
from pcclust.data.dataset import UpAxis
from pcclust.data.feature_file import is_feature_file, read_feature_file
from pcclust.data.rri_file import is_rri_file, open_rri_file
from pcclust.data.shape_source import ShapeSource
from pcclust.data.transforms import stand_on_z
from pcclust.report.shape_view import ViewedShape, shape_page

Color = Literal["r", "neighbor_r_mean", "theta_mean", "phi_max", "height", "label", "cluster"]
HDF5 = (".h5", ".hdf5")


class _Chosen:
    """The shapes that are shown, and what is said of them."""

    def __init__(self) -> None:
        self.shapes: list[ViewedShape] = []
        self.failures: list[ReadFailure] = []
        self.notes: list[str] = []
        self.class_names: Sequence[str] = ()
        self.features: NDArray[np.floating] | None = None


@dataclass(frozen=True, kw_only=True)
class View:
    """Shows shapes on one page, to be turned and coloured by what RRI says of points.

    The page is HTML that needs no network, and nothing is opened. A file that cannot be read is
    named at the end and stops nothing.

    Attributes:
        paths: files, folders and quoted patterns as for pcclust rri; a dataset's name or HDF5 file;
            what pcclust rri wrote; or features that have points (pcclust embed --points).
        out: the page to write, NAME.html.
        color: what colours the points at first; the page offers the others, too. r,
            neighbor_r_mean, theta_mean and phi_max are of RRI; label is a class, where known;
            cluster needs --clusters.
        shapes: how many to show, evenly spread over all there are.
        max_points: of all shapes together; larger ones are thinned out at random.
        k: neighbours of a point, for RRI.
        clusters: find so many clusters of the shapes shown, by their features where the file has
            them, otherwise by statistics of their RRI.
        split: of a dataset that has splits; by default "train".
        up_axis: the axis against gravity, where the data do not say; by default z, of OBJ and glTF
            alone y.
    """

    paths: Annotated[tuple[str, ...], Positional, arg(metavar="PATH…")]
    out: Path = Path("view.html")
    color: Color = "r"
    shapes: int = 24
    max_points: int = 100_000
    k: int = 20
    clusters: int | None = None
    split: str | None = None
    up_axis: UpAxis | None = None
    seed: int = 0

    def run(self) -> int:
        """Writes the page."""
        _check_options(self.paths, self.out, self.shapes, self.max_points, self.k, self.clusters)
        chosen = _choose(self.paths, self.shapes, self.split, self.up_axis)
        if not chosen.shapes:
            return report_failures(chosen.failures)
        _thin_out(chosen, self.max_points // len(chosen.shapes), self.seed)
        if self.clusters is not None:
            _cluster(chosen, self.clusters, self.seed)
        title = f"{counted(len(chosen.shapes), 'shape')} of {', '.join(self.paths[:3])}"
        page = shape_page(
            title + (" …" if len(self.paths) > 3 else ""),
            chosen.shapes,
            color=self.color,
            k=self.k,
            class_names=chosen.class_names,
            notes=chosen.notes,
        )
        write_whole(self.out, page.encode())
        count = counted(len(chosen.shapes), "shape")
        output.print(f"{self.out}: {count}", *chosen.notes, sep="\n  ")
        return report_failures(chosen.failures)


def _check_options(
    paths: Sequence[str], out: Path, shapes: int, max_points: int, k: int, clusters: int | None
) -> None:
    """Refuses what cannot work before anything is read."""
    if not paths:
        raise UsageError("name at least one file, folder, pattern or dataset to show")
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {out} must end in .html")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"--out {out}: there is no folder {out.parent}")
    least = {"--shapes": (shapes, 1), "--k": (k, 1), "--clusters": (clusters, 2)}
    for option, (value, minimum) in least.items():
        if value is not None and value < minimum:
            raise UsageError(f"{option} {value} must be at least {minimum}")
    if max_points < 2 * shapes:
        raise UsageError(
            f"--max-points {max_points} must be at least 2 for each of {shapes} shapes"
        )


def _choose(paths: Sequence[str], count: int, split: str | None, up_axis: UpAxis | None) -> _Chosen:
    chosen = _Chosen()
    single = Path(paths[0]) if len(paths) == 1 else None
    if single is not None and is_rri_file(single):
        _choose_described(chosen, single, count)
    elif single is not None and single.suffix.lower() != ".npy" and is_feature_file(single):
        _choose_embedded(chosen, single, count, up_axis)
    else:
        labelled = single is not None and single.suffix.lower() in HDF5
        source = ShapeSource(paths, split=split, labelled=labelled)
        _choose_read(chosen, source, count, up_axis)
    return chosen


def _choose_described(chosen: _Chosen, path: Path, count: int) -> None:
    """Takes shapes of a file that has their features."""
    with open_rri_file(path) as file:
        for index in _spread(chosen, len(file.names), count):
            name, points, features = file[index]
            chosen.shapes.append(ViewedShape(name, points, features))


def _choose_embedded(chosen: _Chosen, path: Path, count: int, up_axis: UpAxis | None) -> None:
    """Takes shapes of a file that has a vector for each."""
    features, dataset = read_feature_file(path)
    if not dataset.num_points:
        raise ValueError(f"{path} holds features alone; pcclust embed --points keeps the points")
    rows = _spread(chosen, len(dataset), count)
    chosen.features, chosen.class_names = features[rows], dataset.class_names
    for row in rows:
        points = _stood(dataset.points[row].numpy(), up_axis or dataset.up_axis)
        chosen.shapes.append(ViewedShape(dataset.names[row], points, label=_label(dataset, row)))


def _choose_read(chosen: _Chosen, source: ShapeSource, count: int, up_axis: UpAxis | None) -> None:
    """Reads shapes of a dataset or of files."""
    names, labels = source.names(), source.labels()
    kept = {names[row] for row in _spread(chosen, len(names), count)}
    chosen.class_names = source.class_names
    axis = up_axis or source.up_axis
    with closing(source.read({name for name in names if name not in kept}, 0)) as stream:
        for shape in stream:
            if isinstance(shape, ReadFailure):
                chosen.failures.append(shape)
            elif len(shape.points) < 2:
                reason = f"{shape.name}: a single point has no neighbours"
                chosen.failures.append(ReadFailure(shape.name, reason))
            else:
                points = _stood(shape.points.astype(np.float64), axis)
                label = labels.get(shape.name, -1)
                chosen.shapes.append(ViewedShape(shape.name, points, label=label))


def _spread(chosen: _Chosen, total: int, count: int) -> list[int]:
    """Returns which of all shapes are shown."""
    if total <= count:
        return list(range(total))
    chosen.notes.append(f"{count} of {counted(total, 'shape')} are shown, evenly spread.")
    return [int(row) for row in np.linspace(0, total - 1, count).round()]


def _label(dataset: PointDataset, row: int) -> int:
    return -1 if dataset.labels is None else int(dataset.labels[row])


def _stood(points: NDArray[np.floating], up_axis: UpAxis | None) -> NDArray[np.floating]:
    """Returns points about their mean, z upwards."""
    centred = torch.from_numpy(points - points.mean(axis=0, dtype=np.float64))
    return stand_on_z(centred[None], up_axis or "z")[0].numpy()


def _thin_out(chosen: _Chosen, most: int, seed: int) -> None:
    """Takes no more points of any shape than the page bears, and says so."""
    for index, shape in enumerate(chosen.shapes):
        total = len(shape.points)
        if total <= most:
            continue
        kept = np.sort(np.random.default_rng(seed).choice(total, most, replace=False))
        features = None if shape.features is None else shape.features[kept]
        chosen.shapes[index] = replace(shape, points=shape.points[kept], features=features)
        described = "shown" if features is not None else "shown and described"
        chosen.notes.append(
            f"{shape.name}: {most:,} of {total:,} points are {described}; --max-points takes more."
        )


def _cluster(chosen: _Chosen, count: int, seed: int) -> None:
    """Finds clusters of the shapes shown."""
    from pcclust.cluster import KMeans  # brings scikit-learn, which views alone need not

    features = chosen.features if chosen.features is not None else np.stack(list(_stats(chosen)))
    scale = features.std(axis=0)
    standard = (features - features.mean(axis=0)) / np.where(scale > 0, scale, 1)
    labels = KMeans(count, random_state=seed).fit_predict(standard)
    chosen.shapes = [
        replace(shape, cluster=int(label))
        for shape, label in zip(chosen.shapes, labels, strict=True)
    ]
    by = "their features" if chosen.features is not None else "statistics of their RRI"
    chosen.notes.append(f"Clusters are of k-means by {by}, standardised.")


def _stats(chosen: _Chosen) -> Iterator[NDArray[np.floating]]:
    from pcclust.nn.rri_statistics import rri_statistics

    for shape in chosen.shapes:
        try:
            exact = torch.from_numpy(np.asarray(shape.points, np.float64))
            yield rri_statistics(exact[None])[0].numpy()
        except ValueError as error:
            raise ValueError(f"{shape.name} has too few points to cluster: {error}") from error
