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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import nn

from benchmarks.clustering_features import Sides, sides_of, trained_sides
from benchmarks.clustering_rows import BOTH, OTHERS, ROWS, Row
from benchmarks.machine import processor
from pcclust._files import write_whole
from pcclust.cluster import PCAWhitening, unit_length
from pcclust.evaluate.cluster_methods import METHODS, Clustering
from pcclust.evaluate.cluster_runs import measured_run
from pcclust.evaluate.own_clusters import OwnClusters
from pcclust.evaluate.posed_features import Posed
from pcclust.methods import find_recipe
from pcclust.methods.pipeline import Pipeline
from pcclust.nn import Clusterer
from pcclust.nn.clusterer import backbone_of
from pcclust.nn.weights import load


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
    datasets: tuple[str, ...] = (OTHERS, *BOTH)
    seeds: int = 5


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
    before, resumed = time.process_time(), run_folder(row, dataset, seed, out).exists()
    clusters = int(dataset.removeprefix("modelnet"))
    sides = None if row.shapes else sides_of(dataset, row.encoder, out / "features")
    encoded = time.process_time()
    if row.method in METHODS:
        assert sides is not None
        sides = prepared(sides, row.settings.get("whiten"))
        found = METHODS[row.method].run(sides.train.upright, clusters, seed)
        fitted = time.process_time()
    else:
        model = pretrained(row, dataset, clusters, seed, out)
        fitted = time.process_time()
        sides = sides or trained_sides(
            dataset, backbone_of(model), int(model.__dict__["card"]["num_points"])
        )
        found = _found(row, model, sides.train.upright, clusters, seed)
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
        "minutes": None if resumed else (fitted - encoded) / 60,
        "minutes before": (encoded - before) / 60,
        "measures": run.measures,
        "clusters": run.fitted.upright.tolist(),
        "processor": processor(),
    }


def _found(
    row: Row, model: nn.Module, features: NDArray[np.float32], clusters: int, seed: int
) -> Clustering:
    """Returns the clusters of the method, or of what comes after it, of its features."""
    if row.then is not None:
        return METHODS[row.then].run(features, clusters, seed)
    assert isinstance(model, Clusterer)
    own = OwnClusters(model.head)
    return Clustering(own(features), own)


def run_folder(row: Row, dataset: str, seed: int, out: Path) -> Path:
    """Returns where a method that trains leaves its run."""
    return out / "runs" / dataset / f"{row.name}-{seed}"


def prepared(sides: Sides, components: int | None) -> Sides:
    """Returns features whitened, by what training shapes say, and of length one; or as they are."""
    if components is None:
        return sides
    whitening = PCAWhitening(components).fit(sides.train.upright)

    def whitened(posed: Posed) -> Posed:
        both = [unit_length(whitening.transform(each)) for each in (posed.upright, *posed.turned)]
        return Posed(both[0], both[1:])

    return Sides(whitened(sides.train), whitened(sides.test), sides.labels)


def pretrained(row: Row, dataset: str, clusters: int, seed: int, out: Path) -> nn.Module:
    """Trains a method, or goes on with it, and returns its result."""
    recipe = find_recipe(row.method)
    folder = run_folder(row, dataset, seed, out)
    own: dict[str, Any] = {"seed": seed, "workers": 0}
    if row.then is None:
        own["num_clusters"] = clusters
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
    outcome = Pipeline(recipe, recipe.preset(**settings), folder, resume=True).run()
    if not outcome.complete:
        raise SystemExit(f"{folder} was interrupted: the same command goes on with it")
    return load(folder).eval()


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
