"""What evaluations of a model have in common: finding it, opening shapes, showing the report."""

import shlex
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from torch import nn
from tyro.conf import Positional, arg

from pcclust._lock import locked_folder
from pcclust._version import __version__
from pcclust.cli.console import ExitCode, UsageError, drawn, errors, make_folder, output
from pcclust.data import PointDataset
from pcclust.data.dataset import UpAxis
from pcclust.data.named import has_splits, open_labelled
from pcclust.data.rotations import Sampler
from pcclust.evaluate.forward import Layout
from pcclust.evaluate.model_source import FoundModel, find_model
from pcclust.report.base import Saved
from pcclust.report.folder import ReportFolder
from pcclust.report.registry import view_of


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What every evaluation is told.

    Attributes:
        model: the folder of a run of pcclust or a .safetensors file of it, the name of weights that
            come with pcclust, or hf://OWNER/REPOSITORY[@REVISION]; or a model of yours as
            file.py:name or package.module:name: a torch.nn.Module, a class or function without
            arguments that makes one, or a function from a batch of clouds to a row for each.
        data: modelnet40 or modelnet10 (in $PCCLUST_DATA), an HDF5 file, a known dataset's folder or
            a folder whose sub-folders are classes; by default what the run was trained on.
        split: of data that has splits; by default "test".
        num_points: of every shape; by default as the run was trained, or as the data has them.
        normalize: centre every shape and scale it to the unit sphere first.
        batch_size: shapes the model is asked about at once, at most.
        report: a folder for the numbers (JSON, Markdown) and a page (report.html); evaluations of
            the same model and data share it.
    """

    model: Annotated[str, Positional, arg(metavar="MODEL")]
    data: str | None = None
    split: str | None = None
    weights: str | None = None
    layout: Layout = "auto"
    num_points: int | None = None
    normalize: bool = False
    limit: int | None = None
    batch_size: int = 32
    device: str | None = None
    seed: int = 0
    report: Path | None = None

    def run(self) -> int:
        """Prints the tables and writes the report."""
        with locked_folder(self.report):
            return self._run()

    def _run(self) -> int:
        raise NotImplementedError

    def _found(self, features: bool = False) -> FoundModel:
        torch.manual_seed(self.seed)  # of what is not loaded but drawn when the model is made
        found = find_model(self.model, self.weights, features=features)
        if self.weights is None and ":" in self.model and isinstance(found.model, nn.Module):
            errors.print(f"Without --weights the parameters are as {self.model} makes them")
        return found

    def _opened(self, model: FoundModel) -> PointDataset:
        shown = self._read(self._data(model), self.split, model, limit=self.limit)
        named = {name for name, count in shown.counts().items() if count}
        for name in sorted(named & set(model.missing_classes)):
            errors.print(
                f"The run had no training shapes of {name}: its test shapes count as wrong"
            )
        if self._data(model) == model.dataset and Path(model.dataset).is_file():
            errors.print(f"{model.dataset} has no test split: the run was trained on these shapes")
        return shown

    def _data(self, model: FoundModel) -> str:
        data = self.data or model.dataset
        if data is None:
            raise UsageError("name the shapes to test with, by --data")
        return data

    def _read(
        self,
        data: str,
        split: str | None,
        model: FoundModel,
        *,
        limit: int | None = None,
        default_split: str = "test",
    ) -> PointDataset:
        return open_labelled(
            data,
            split,
            default_split=default_split,
            num_points=self.num_points or model.num_points,
            class_names=model.class_names,
            normalize=self.normalize,
            limit=limit,
            seed=self.seed,
        )

    def _about(self, model: FoundModel, shown: PointDataset) -> dict[str, str]:
        return {
            "model": model.name,
            "weights": self.weights or "its own",
            "kind": model.size,
            "data": shown.title,
            "command": shlex.join(["pcclust", *sys.argv[1:]]),
            "pcclust": __version__,
            "torch": torch.__version__,
        }

    def _folder(self, about: dict[str, str]) -> ReportFolder | None:
        if self.report is None:
            return None
        make_folder(self.report, "--report")
        return ReportFolder(self.report, about)

    def _finish(self, report: Saved, folder: ReportFolder | None) -> int:
        view = view_of(report)
        for table in view.tables():
            output.print(drawn(table), "")
        output.print(*(textwrap.fill(note, 79) for note in view.notes()), sep="\n")
        output.print(f"The model takes {_LAYOUTS[str(report.settings['layout'])]}.")
        if folder:
            output.print("Look at", *folder.write(report), sep="\n  ")
        return ExitCode.DONE


_LAYOUTS = {"BN3": "(B, N, 3)", "B3N": "(B, 3, N)"}


@dataclass(frozen=True, kw_only=True)
class TurnedEvaluation(Evaluation):
    """What evaluations of turned shapes are told.

    Attributes:
        train_data: shapes to train linear probes with; by default the split "train" of the data.
        train_limit: the same as --limit, of the shapes to train with.
        rotations: of each kind for every shape.
        sampler: of arbitrary rotations: uniform (haar), ClusterNet's (axis_angle) or RIConv's
            (euler).
        up_axis: the axis against gravity, where the data does not know it.
    """

    train_data: str | None = None
    train_limit: int | None = None
    rotations: int = 5
    sampler: Sampler = "haar"
    up_axis: UpAxis | None = None

    def _known_up_axis(self, model: FoundModel, shown: PointDataset) -> UpAxis:
        known = self.up_axis or shown.up_axis or model.up_axis
        if known:
            return known
        errors.print(
            "The data does not say which axis is up: z is assumed, --up-axis names another"
        )
        return "z"

    def _learned(self, model: FoundModel, shown: PointDataset) -> PointDataset:
        """Returns the shapes that probes learn from, with the labels of the test shapes."""
        data = self._data(model)
        self._refuse_the_same(data)
        opened = self._read(
            self.train_data or data, None, model, limit=self.train_limit, default_split="train"
        )
        return opened.relabelled(shown.class_names)

    def _refuse_the_same(self, data: str) -> None:
        """Refuses to train with the shapes that are to be tested.

        Raises:
            ValueError: they are the same.
        """
        if self.train_data is None and not has_splits(data):
            raise UsageError(
                f"{data} has no training split: name shapes by --train-data, others than those "
                "to test with"
            )
        trained = self.train_data or data
        if has_splits(trained):
            same = trained == data and self.split == "train"
        else:
            same = Path(trained).resolve() == Path(data).resolve()
        if same:
            split = f", {self.split}" if self.split else ""
            raise UsageError(
                f"{data}{split} would be trained with and tested: name other shapes by "
                "--train-data, or another --split"
            )
