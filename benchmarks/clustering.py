"""The leaderboard of clusterings: k-means and others, and every method, on the same shapes.

python -m benchmarks.clustering --out out/clustering --minutes 50
python -m benchmarks.clustering_page out/clustering --out benchmarks/CLUSTERING.md

Every row is run seed by seed; each leaves a report (rows/DATASET/ROW-SEED.json) and is not run
again while that is there. It may be killed at any moment: the same command goes on. Nothing is
chosen by labels: settings are those below, and the clusters those of the last epoch.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from benchmarks.machine import processor
from pcclust._files import write_whole
from pcclust.data import PointDataset
from pcclust.data.named import open_named
from pcclust.data.transforms import UnitSphere
from pcclust.evaluate.cluster_methods import METHODS, Clustering
from pcclust.evaluate.cluster_runs import measured_run
from pcclust.evaluate.own_clusters import OwnClusters
from pcclust.evaluate.posed_features import Posed, posed_features
from pcclust.evaluate.rotations import Rotations
from pcclust.methods import find_recipe
from pcclust.methods.pipeline import Pipeline
from pcclust.nn import DGCNN, Clusterer
from pcclust.nn.weights import load

SHIPPED = "clusternet-contrastnet-modelnet40"
UPRIGHT = "dgcnn"  # an encoder of upright shapes, for what turning does
SPLITS = ("train", "test")
ROUNDS = 1  # of turns; an encoder that is indifferent to them needs no more


@dataclass(frozen=True)
class Row:
    """A line of the leaderboard.

    Attributes:
        name: of its reports.
        title: what the page calls it.
        seeds: how many.
        method: of `METHODS` or of `pcclust.methods.METHODS`.
        settings: of a method of the latter.
        encoder: whose features are clustered, or begun with.
        datasets: on which it is run.
        shapes: whether an encoder is trained on shapes, beside heads.
    """

    name: str
    title: str
    seeds: int
    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    encoder: str = SHIPPED
    datasets: tuple[str, ...] = ("modelnet10", "modelnet40")
    shapes: bool = False


def _nested(name: str, **settings: object) -> dict[str, Any]:
    return {name: settings}


# Fewer and smaller heads than in the paper, on principal components: minutes of a core, not hours.
TEMI_SETTINGS = {
    "heads": 4,
    "hidden": 256,
    "bottleneck": 64,
    "components": 64,
    "batch_size": 256,
    "neighbors": 20,
    "epochs": 50,
}
# An encoder that is trained sees fewer points and epochs than it deserves: hours are not at hand.
FINE = {"num_points": 256, "epochs": 3, "batch_size": 64, "learning_rate": 1e-4}
TEN = ("modelnet10",)
ROWS = (
    Row("kmeans", "k-means", 5, "kmeans"),
    Row("self-tuning", "self-tuning spectral", 5, "self-tuning"),
    Row("ward", "Ward", 1, "ward"),
    Row("spectral", "spectral", 5, "spectral"),
    Row("gmm", "Gaussian mixture", 5, "gmm"),
    Row("hdbscan", "HDBSCAN", 1, "hdbscan"),
    Row("scan", "SCAN", 5, "scan", _nested("scan", learning_rate=1e-3)),
    Row("dec", "DEC", 5, "dec", _nested("dec", epochs=20)),
    Row("temi", "TEMI", 5, "temi", TEMI_SETTINGS),
    Row("spice", "SPICE-Self", 5, "spice", _nested("spice", heads=2, epochs=6)),
    Row("dgcnn-kmeans", "k-means, untrained DGCNN", 5, "kmeans", {}, UPRIGHT, TEN),
    *(
        Row(name, f"{title}, fine-tuned", 3, name, settings, datasets=TEN, shapes=True)
        for name, title, settings in (
            ("pica", "PICA", FINE),
            ("cc", "CC", FINE),
            ("htcn", "HTCN", FINE),
            ("deepcluster", "DeepCluster", FINE),
        )
    ),
    Row(
        "vade",
        "VaDE, from scratch",
        3,
        "vade",
        {"vade": FINE, "autoencoder": {"epochs": 5, "batch_size": 64}},
        encoder="",
        datasets=TEN,
        shapes=True,
    ),
)


@dataclass(frozen=True)
class Settings:
    """How it is run.

    Attributes:
        out: the folder of features, runs and reports.
        minutes: after so long no further row is begun.
        rows: names of rows, in the order in which they are run; by default all.
        datasets: on which.
        seeds: of each row, at most.
    """

    out: Path = Path("out/clustering")
    minutes: float = 60.0
    rows: tuple[str, ...] = tuple(row.name for row in ROWS)
    datasets: tuple[str, ...] = ("modelnet10", "modelnet40")
    seeds: int = 5


@dataclass(frozen=True)
class Sides:
    """What is clustered: features of both splits, and classes.

    Attributes:
        train: features of training shapes.
        test: features of test shapes.
        labels: ``(N,)`` and ``(M,)`` classes.
    """

    train: Posed
    test: Posed
    labels: tuple[NDArray[np.int64], NDArray[np.int64]]


def main(settings: Settings) -> None:
    """Runs what has no report yet."""
    torch.set_num_threads(1)
    begun = time.monotonic()
    for row, dataset, seed in _jobs(settings):
        report = settings.out / "rows" / dataset / f"{row.name}-{seed}.json"
        if report.exists():
            continue
        if time.monotonic() - begun > 60 * settings.minutes:
            print(f"The time is up before {report}")
            return
        told = run_row(row, dataset, seed, settings.out)
        report.parent.mkdir(parents=True, exist_ok=True)
        write_whole(report, json.dumps(told).encode())
        measures = told["measures"]["test_turned"]
        print(
            f"{dataset} {row.name} {seed}: test, turned: ACC {100 * measures['accuracy']:.1f}, "
            f"NMI {100 * measures['nmi']:.1f}, {told['minutes']:.2f} core-minutes",
            flush=True,
        )


def _jobs(settings: Settings) -> Iterator[tuple[Row, str, int]]:
    """Yields what is to be run, all datasets of a row before the next, seeds in turn."""
    known = {row.name: row for row in ROWS}
    for name in settings.rows:
        if name not in known:
            raise SystemExit(f"there is no row {name!r}: {', '.join(known)}")
        row = known[name]
        for dataset in settings.datasets:
            if dataset in row.datasets:
                yield from ((row, dataset, seed) for seed in range(min(row.seeds, settings.seeds)))


def run_row(row: Row, dataset: str, seed: int, out: Path) -> dict[str, Any]:
    """Runs a row with a seed, and returns its report."""
    before = time.process_time()
    clusters = int(dataset.removeprefix("modelnet"))
    sides = None if row.shapes else sides_of(dataset, row.encoder, out / "features")
    encoded = time.process_time()
    if row.method in METHODS:
        assert sides is not None
        found = METHODS[row.method].run(sides.train.upright, clusters, seed)
        fitted = time.process_time()
    else:
        model = pretrained(row, dataset, clusters, seed, out)
        fitted = time.process_time()
        sides = sides or _sides(dataset, model.backbone, int(model.__dict__["card"]["num_points"]))
        own = OwnClusters(model.head)
        found = Clustering(own(sides.train.upright), own)
    run = measured_run(
        found, sides.train, sides.labels[0], sides.test, sides.labels[1], n_clusters=clusters
    )
    return {
        "row": row.name,
        "title": row.title,
        "dataset": dataset,
        "encoder": row.encoder,
        "settings": row.settings,
        "seed": seed,
        "minutes": (fitted - encoded) / 60,
        "minutes before": (encoded - before) / 60,
        "measures": run.measures,
        "clusters": run.fitted.upright.tolist(),
        "processor": processor(),
    }


def pretrained(row: Row, dataset: str, clusters: int, seed: int, out: Path) -> Clusterer:
    """Trains a method, or goes on with it, and returns its result."""
    recipe = find_recipe(row.method)
    folder = out / "runs" / dataset / f"{row.name}-{seed}"
    own: dict[str, Any] = {"num_clusters": clusters, "seed": seed, "workers": 0}
    if row.shapes:
        own |= {"dataset": dataset, "init": row.encoder or None}
    else:
        own["dataset"] = str(_feature_file(dataset, row.encoder, out / "features"))
    settings = dict(row.settings)
    main_stage = next(iter(settings), "")
    if isinstance(settings.get(main_stage), dict) and main_stage != "settings":
        settings[main_stage] = own | settings[main_stage]
    else:
        settings = own | settings
    Pipeline(recipe, recipe.preset(**settings), folder, resume=True).run()
    model = load(folder)
    assert isinstance(model, Clusterer)
    return model.eval()


def sides_of(dataset: str, encoder: str, folder: Path) -> Sides:
    """Returns features of both splits by a frozen encoder, made once for all rows.

    Those of ModelNet10 are rows of those of ModelNet40, whose shapes they are.
    """
    found = [_features(encoder, split, folder) for split in SPLITS]
    classes = _classes(dataset)
    kept = [np.isin(each["labels"], classes) for each in found]
    labels = [np.searchsorted(classes, e["labels"][k]) for e, k in zip(found, kept, strict=True)]
    posed = [
        Posed(each["upright"][rows], [turned[rows] for turned in each["turned"]])
        for each, rows in zip(found, kept, strict=True)
    ]
    return Sides(posed[0], posed[1], (labels[0], labels[1]))


def _classes(dataset: str) -> NDArray[np.int64]:
    """Returns the labels in ModelNet40 of the classes of a dataset, sorted."""
    names = open_named("modelnet40", "test", num_points=8).class_names
    wanted = open_named(dataset, "test", num_points=8).class_names
    return np.array(sorted(names.index(name) for name in wanted))


def _features(encoder: str, split: str, folder: Path) -> dict[str, Any]:
    file = folder / f"{encoder}-{split}.npz"
    if not file.exists():
        network = _encoder(encoder)
        wanted = "modelnet10" if encoder == UPRIGHT else "modelnet40"
        shapes = _opened(wanted, split, 1024)
        posed = posed_features(network, shapes.points, _rotations(split), layout="BN3")
        labels = _labels_of_40(shapes)
        folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npz")
        np.savez(part, upright=posed.upright, turned=np.stack(posed.turned), labels=labels)
        part.replace(file)
    with np.load(file) as arrays:
        return dict(arrays)


def _labels_of_40(shapes: PointDataset) -> NDArray[np.int64]:
    names = open_named("modelnet40", "test", num_points=8).class_names
    assert shapes.labels is not None
    return np.array([names.index(shapes.class_names[label]) for label in shapes.labels.tolist()])


def _encoder(name: str) -> torch.nn.Module:
    if name != UPRIGHT:
        return load(name).eval()
    torch.manual_seed(0)
    return DGCNN().eval()


def _sides(dataset: str, encoder: torch.nn.Module, num_points: int) -> Sides:
    """Returns features of both splits by an encoder that a run has trained."""
    shapes = [_opened(dataset, split, num_points) for split in SPLITS]
    posed = [
        posed_features(encoder, each.points, _rotations(split), layout="BN3")
        for each, split in zip(shapes, SPLITS, strict=True)
    ]
    labels = [each.labels.numpy() for each in shapes if each.labels is not None]
    return Sides(posed[0], posed[1], (labels[0], labels[1]))


def _opened(dataset: str, split: str, num_points: int) -> PointDataset:
    shapes = open_named(dataset, split, num_points=num_points)
    return shapes.with_points(UnitSphere()(shapes.points))


def _rotations(split: str) -> Rotations:
    return Rotations(ROUNDS, tilts=0, seed=SPLITS.index(split))


def _feature_file(dataset: str, encoder: str, folder: Path) -> Path:
    """Returns a file of the features that methods learn from, without labels."""
    file = folder / f"{encoder}-{dataset}.npy"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npy")
        np.save(part, sides_of(dataset, encoder, folder).train.upright)
        part.replace(file)
    return file


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
