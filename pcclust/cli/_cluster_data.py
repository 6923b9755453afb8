"""What `pcclust cluster` clusters: features of a file, or features made of shapes."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from tyro.conf import Positional, arg

from pcclust.cli.console import UsageError, errors, progress_bar
from pcclust.data import PointDataset, ReadFailure
from pcclust.data.dataset import UpAxis
from pcclust.data.detect import SPLITS
from pcclust.data.feature_file import is_feature_file, read_feature_file
from pcclust.data.named import open_named
from pcclust.data.seeding import seeded_generator
from pcclust.data.shape_source import load_readable
from pcclust.data.transforms import RotateSO3, RotateUp, UnitSphere, stand_on_z
from pcclust.evaluate.embedding import embed
from pcclust.evaluate.forward import Layout, Model
from pcclust.evaluate.model_source import find_model
from pcclust.evaluate.own_clusters import OwnClusters
from pcclust.nn import Clusterer
from pcclust.nn.cluster_head import ClusterHead
from pcclust.nn.rri_statistics import rri_statistics
from pcclust.nn.weights import load
from pcclust.nn.weights_source import DEFAULT

LEAST_POINTS = 64  # of a shape that this encoder describes; it was trained on 1,024
STATISTICS = "rri-statistics"
UNTRAINED = "statistics of RRI, untrained"
TURNS, TEST_TURNS = 0, 1  # the uses of the seed


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is clustered.

    Attributes:
        source: features in a file (.npy; or .npz or .h5 with features (N, C) and perhaps labels,
            names, class_names and points (N, P, 3)); or shapes: modelnet40 or modelnet10 (in
            $PCCLUST_DATA), an HDF5 file, a known dataset's folder, or any folder of meshes and
            clouds, whose sub-folders are classes.
        test: held-out shapes, measured with what was fitted on the others: a split of the same
            dataset (test), or another SOURCE.
        model: what makes features of shapes: as for pcclust evaluate, the folder of a run, a
            .safetensors file, the name of weights that come with pcclust, hf://OWNER/REPOSITORY,
            file.py:name or package.module:name; or rri-statistics, numbers of rotation-invariant
            features (RRI) that no training has seen. By default the encoder that comes with
            pcclust, clusternet-contrastnet-modelnet40; for clouds of fewer than 64 points the
            latter.
        batch_size: shapes the model is asked about at once, at most.
        split: of a dataset that has splits; by default "train".
        classes: only these, separated by commas.
        num_points: of every shape; by default 1,024, or as an HDF5 file has them.
        rotate: turn every shape first: about the up axis (z) or any way (so3).
        up_axis: the axis against gravity, where the data does not know it (OBJ is read as y up).
    """

    source: Annotated[str, Positional, arg(metavar="FEATURES|DATA")]
    test: str | None = None
    model: str | None = None
    weights: str | None = None
    layout: Layout = "auto"
    batch_size: int = 32
    device: str | None = None
    split: str | None = None
    classes: str | None = None
    num_points: int | None = None
    rotate: Literal["none", "z", "so3"] = "none"
    up_axis: UpAxis | None = None
    seed: int = 0


@dataclass(frozen=True)
class Clusterable:
    """Features, and the shapes that they are of.

    Attributes:
        title: in words.
        encoder: what made the features.
        features: ``(N, C)``.
        shapes: N of them.
        failures: shapes that could not be read.
        own: the clusters of the run that made the features; None where it made none.
    """

    title: str
    encoder: str
    features: NDArray[np.floating]
    shapes: PointDataset
    failures: tuple[ReadFailure, ...] = ()
    own: OwnClusters | None = None


def open_clusterable(source: Source) -> tuple[Clusterable, Clusterable | None]:
    """Returns what is to be clustered, and the held-out shapes if there are any.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: nothing that can be used, options that do not go together, held-out shapes of
            a class that the others do not have.
    """
    if is_feature_file(Path(source.source)):
        _refuse_options_for_shapes(source)
        first = replace(read_features(Path(source.source)), own=_own(source.weights))
        held_out = read_features(Path(source.test)) if source.test else None
    else:
        encode = _Encoder(source)
        first = encode(source.source, source.split, TURNS)
        held_out = None
        if source.test in SPLITS:
            held_out = encode(source.source, source.test, TEST_TURNS)
        elif source.test:
            held_out = encode(source.test, None, TEST_TURNS)
    return first, None if held_out is None else _relabelled(held_out, first)


def read_features(path: Path) -> Clusterable:
    """Reads a file of features."""
    features, shapes = read_feature_file(path)
    count, width = features.shape
    title = f"{path}: {count:,} features of {width:,}"
    return Clusterable(title, "as given", features, standing(shapes))


def standing(shapes: PointDataset) -> PointDataset:
    """Returns shapes as they are shown: z upwards, where it is known which way is up."""
    if shapes.up_axis is None or not shapes.num_points:
        return shapes
    return shapes.with_points(stand_on_z(shapes.points, shapes.up_axis))


def _own(weights: str | None) -> OwnClusters | None:
    """Returns the clusters of a run that is applied to features."""
    if weights is None:
        return None
    model = load(weights)
    if not isinstance(model, Clusterer):
        raise ValueError(f"{weights} has no clusters of its own to give features: leave it out")
    return OwnClusters(model.head)


def _refuse_options_for_shapes(source: Source) -> None:
    fresh = Source(source=source.source, test=source.test, seed=source.seed, weights=source.weights)
    names = [field.name for field in fields(Source)]
    given = [name for name in names if getattr(source, name) != getattr(fresh, name)]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{source.source} holds features: {options} need shapes")


class _Encoder:
    """Opens shapes, turns them, and makes features of them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.model: Model = rri_statistics
        self.name, self.num_points = UNTRAINED, source.num_points
        self.layout: Layout = "BN3"
        self.least_points = 0
        self.own: OwnClusters | None = None
        chosen = source.model or source.weights
        named = chosen or DEFAULT
        if named != STATISTICS:
            found = find_model(named, source.weights if source.model else None, features=True)
            self.model, self.name, self.layout = found.model, found.name, source.layout
            if chosen:
                self.num_points = source.num_points or found.num_points
            else:  # the encoder that comes with pcclust takes what the data have
                self.layout, self.least_points = "BN3", LEAST_POINTS
            if isinstance(found.head, ClusterHead):
                self.own = OwnClusters(found.head)

    def __call__(self, path: str, split: str | None, turns: int) -> Clusterable:
        dataset = open_named(path, split, num_points=self.num_points, seed=self.source.seed)
        if self.source.classes:
            dataset = dataset.select_classes(self.source.classes.split(","))
        up_axis = self.source.up_axis or dataset.up_axis
        with progress_bar("shapes") as bar:
            task = bar.add_task("reading", total=None)
            shapes, failures = load_readable(
                dataset, lambda done, total: bar.update(task, completed=done, total=total)
            )
        if shapes.num_points < self.least_points:
            self.model, self.name = rri_statistics, UNTRAINED
        points = self._turned(shapes.points, up_axis, turns)
        with progress_bar("shapes") as bar:
            task = bar.add_task("features", total=len(points))
            features = embed(
                self.model,
                points,
                layout=self.layout,
                batch_size=self.source.batch_size,
                device=self.source.device,
                progress=lambda done, total: bar.update(task, completed=done),
            )
        shown = points if up_axis is None else stand_on_z(points, up_axis)
        shapes = shapes.with_points(shown)
        return Clusterable(shapes.title, self.name, features.numpy(), shapes, failures, self.own)

    def _turned(self, points: Tensor, up_axis: UpAxis | None, turns: int) -> Tensor:
        points = UnitSphere()(points)
        generator = seeded_generator(self.source.seed, turns)
        if self.source.rotate == "so3":
            return RotateSO3()(points, generator)
        if self.source.rotate == "none":
            return points
        if up_axis is None:
            raise ValueError("--rotate z: the data does not say which axis is up; add --up-axis")
        return RotateUp(up_axis)(points, generator)


def _relabelled(held_out: Clusterable, first: Clusterable) -> Clusterable:
    """Returns the held-out shapes with the labels of the others, by the names of the classes."""
    known = first.shapes.class_names
    if held_out.shapes.labels is None or first.shapes.labels is None or not known:
        return held_out
    return replace(held_out, shapes=held_out.shapes.relabelled(known))


def labels_that_measure(shapes: PointDataset) -> NDArray[np.int64] | None:
    """Returns labels that can measure clusters; none, and says so, where there is one class."""
    if shapes.labels is None:
        return None
    labels: NDArray[np.int64] = shapes.labels.numpy()
    if len(np.unique(labels)) > 1:
        return labels
    errors.print("All shapes are of one class, which measures nothing: they count as unlabelled.")
    return None
