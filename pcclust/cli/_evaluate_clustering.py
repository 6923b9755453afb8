"""``pcclust evaluate clustering``: runs of clustering methods side by side on the same shapes."""

import shlex
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from tyro.conf import Positional, UseAppendAction, arg

from pcclust._extras import require
from pcclust._files import write_whole
from pcclust._lock import locked_folder
from pcclust._version import __version__
from pcclust.cli._cluster_data import UNTRAINED, labels_that_measure, standing
from pcclust.cli.console import (
    UsageError,
    drawn,
    make_folder,
    output,
    progress_bar,
    report_failures,
)
from pcclust.data import PointDataset, ReadFailure
from pcclust.data.detect import SPLITS
from pcclust.data.feature_file import is_feature_file, read_feature_file
from pcclust.data.named import open_named
from pcclust.data.rotations import Sampler
from pcclust.data.shape_source import load_readable
from pcclust.data.splits import stratified
from pcclust.data.transforms import UnitSphere, stand_on_z, turn
from pcclust.evaluate.cluster_runs_report import ClusterRunsReport
from pcclust.evaluate.forward import Layout, Model
from pcclust.evaluate.model_source import find_model
from pcclust.evaluate.pretrained_runs import PretrainedRun, open_run
from pcclust.evaluate.rotations import Rotations
from pcclust.evaluate.run_comparison import Baselines, RunComparison, Shown
from pcclust.nn.rri_statistics import rri_statistics
from pcclust.report.cluster_rows import Turned
from pcclust.report.cluster_runs import gallery_pages, run_markdown, run_tables, runs_page

BaselineName = Literal["kmeans", "ward", "spectral", "self-tuning", "gmm", "hdbscan"]


@dataclass(frozen=True)
class Opened:
    """Shapes or features, and their labels.

    Attributes:
        shapes: with their points, or without.
        shown: what is clustered.
        failures: what could not be read.
    """

    shapes: PointDataset
    shown: Shown
    failures: tuple[ReadFailure, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClusterRuns:
    """Puts runs of clustering methods side by side, on upright and turned shapes.

    Attributes:
        runs: folders of pcclust pretrain METHOD, or their weights; several, which differ by their
            seed alone, are a row with mean ± standard deviation. Without any, --method is alone.
        data: modelnet40 or modelnet10 (in $PCCLUST_DATA), an HDF5 file, a known dataset's folder,
            any folder of meshes and clouds, or a file of features.
        split: of data that has splits; by default "train".
        test: held-out shapes, measured by the map of clusters to classes of the others: a split
            of the same data (test), or other data.
        method: kmeans, ward, spectral, self-tuning, gmm or hdbscan, as pcclust cluster has them,
            of the features of --weights; several by repeating it.
        weights: the encoder of --method, and of runs that were trained on features; without it
            --method clusters statistics of rotation-invariant features.
        clusters: how many --method makes; by default as many as the runs have, or classes.
        seeds: runs of each --method that has randomness.
        rotations: rounds of turns that every shape gets.
        sampler: of the turns: uniform (haar), ClusterNet's (axis_angle) or RIConv's (euler).
        num_points: of every shape; by default as the first run was trained, or 1,024.
        batch_size: shapes an encoder is asked about at once, at most.
        report: the folder for clusters.json, clusters.md, report.html and a gallery of each row.
    """

    runs: Annotated[tuple[str, ...], Positional, arg(metavar="[RUN …]")] = ()
    data: str
    split: str | None = None
    test: str | None = None
    method: UseAppendAction[tuple[BaselineName, ...]] = field(default=())
    weights: str | None = None
    clusters: int | None = None
    seeds: int = 5
    rotations: int = 3
    sampler: Sampler = "haar"
    layout: Layout = "auto"
    num_points: int | None = None
    limit: int | None = None
    batch_size: int = 32
    device: str | None = None
    seed: int = 0
    report: Path = Path("out/clusters")

    def run(self) -> int:
        """Prints the tables and writes the page."""
        with locked_folder(self.report):
            return self._run()

    def _run(self) -> int:
        require("matplotlib", "reports")  # before much time is spent
        make_folder(self.report, "--report")
        runs = [open_run(source) for source in self.runs]
        fitted, test = self._opened(runs)
        comparison = RunComparison(
            runs,
            fitted.shown,
            test.shown if test else None,
            self._baselines(runs, fitted.shown),
            self._encoder(),
            Rotations(self.rotations, self.sampler, 0, seed=self.seed),
            self.layout,
            self.batch_size,
            self.device,
        )
        for place in (fitted, test):
            if place:
                output.print(place.shapes.title)
        with progress_bar("clouds") as bar:
            task = bar.add_task("turn and encode", total=comparison.clouds() or None)
            found = comparison.compare(
                self._about(fitted, test),
                fitted.shapes.class_names,
                lambda count: bar.advance(task, count),
            )
        for table in run_tables(found):
            output.print(drawn(table), "")
        for note in found.notes:
            output.print(f"  {note}")
        self._write(found, fitted, comparison)
        return report_failures([*fitted.failures, *(test.failures if test else ())])

    def _opened(self, runs: list[PretrainedRun]) -> tuple[Opened, Opened | None]:
        num_points = self.num_points
        if num_points is None:
            known = [run.num_points for run in runs if run.num_points]
            num_points = known[0] if known else None
        fitted = self._open(self.data, self.split, num_points)
        if self.test is None:
            return fitted, None
        of_data = self.test in SPLITS
        held_out = self._open(
            self.data if of_data else self.test, self.test if of_data else None, num_points
        )
        return fitted, _relabelled(held_out, fitted)

    def _open(self, data: str, split: str | None, num_points: int | None) -> Opened:
        if is_feature_file(Path(data)):
            features, shapes = read_feature_file(Path(data))
            return Opened(standing(shapes), Shown(features, labels_that_measure(shapes)))
        dataset = open_named(data, split, num_points=num_points, seed=self.seed)
        with progress_bar("shapes") as bar:
            task = bar.add_task("reading", total=None)
            shapes, failures = load_readable(
                dataset, lambda done, total: bar.update(task, completed=done, total=total)
            )
        if self.limit is not None and self.limit < len(shapes):
            shapes = shapes.subset(_sample(shapes, self.limit, self.seed))
        shapes = shapes.with_points(UnitSphere()(shapes.points))
        return Opened(shapes, Shown(shapes.points, labels_that_measure(shapes)), failures)

    def _baselines(self, runs: list[PretrainedRun], fitted: Shown) -> Baselines:
        numbers = {run.model.num_clusters for run in runs}
        classes = 0 if fitted.labels is None else len(np.unique(fitted.labels))
        number = self.clusters or (numbers.pop() if len(numbers) == 1 else classes)
        if self.method and not number:
            raise UsageError(
                "without labels, how many clusters --method makes is not known: add --clusters"
            )
        return Baselines(self.method, number, self.seeds, self.seed)

    def _encoder(self) -> Model | None:
        if self.weights is not None:
            return find_model(self.weights, features=True).model
        return rri_statistics if self.method else None

    def _about(self, fitted: Opened, test: Opened | None) -> dict[str, str]:
        encoder = self.weights or (UNTRAINED if self.method else "each run's own")
        if is_feature_file(Path(self.data)):
            encoder = "as given"
        return {
            "data": fitted.shapes.title,
            "test": test.shapes.title if test else "none",
            "runs": ", ".join(self.runs) or "none",
            "features of --method": encoder,
            "command": shlex.join(["pcclust", *sys.argv[1:]]),
            "pcclust": __version__,
            "torch": torch.__version__,
        }

    def _write(self, found: ClusterRunsReport, fitted: Opened, comparison: RunComparison) -> None:
        upright, turned = fitted.shapes, None
        if comparison.of_shapes:
            axis = upright.up_axis
            first = found.groups[0].runs[0]
            points = turn(upright.points, comparison.turns(0).arbitrary(len(upright))[0])
            turned = Turned(points, first.fitted.turned[0])
            upright = upright.with_points(stand_on_z(upright.points, axis or "z"))
        files = [
            ("clusters.json", found.to_json()),
            ("clusters.md", run_markdown(found)),
            ("report.html", runs_page(found, upright, turned)),
            *gallery_pages(found, upright),
        ]
        output.print("Look at")
        for name, text in files:
            write_whole(self.report / name, text.encode())
            output.print(f"  {self.report / name}")


def _sample(shapes: PointDataset, limit: int, seed: int) -> torch.Tensor:
    labels = torch.zeros(len(shapes)) if shapes.labels is None else shapes.labels
    return stratified(labels.long(), limit, seed)


def _relabelled(held_out: Opened, fitted: Opened) -> Opened:
    """Returns held-out shapes with the labels of the others, by the names of the classes."""
    known = fitted.shapes.class_names
    if held_out.shown.labels is None or fitted.shown.labels is None or not known:
        return held_out
    shapes = held_out.shapes.relabelled(known)
    assert shapes.labels is not None
    return replace(
        held_out, shapes=shapes, shown=Shown(held_out.shown.points, shapes.labels.numpy())
    )
