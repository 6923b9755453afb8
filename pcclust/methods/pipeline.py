"""Runs the stages of a method one after the other, each left as it is once it is done."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pcclust._lock import locked_folder
from pcclust.methods.stages import (
    NOTHING,
    Computation,
    Described,
    Previous,
    Recipe,
    open_shapes,
)
from pcclust.nn.weights import save_weights
from pcclust.training import Callback, Method, Outcome, RunFolder, fit
from pcclust.training.callback import Plan
from pcclust.training.config import write_config
from pcclust.training.processes import Processes
from pcclust.training.run_folder import CONFIG, is_left_by_killed

Tell = Callable[[str], None]


class Pipeline:
    """Runs the stages of a method one after the other.

    With ``resume`` the same settings and folder go on, wherever it was interrupted: training with
    the bits of an uninterrupted run, computations anew, and complete stages are skipped. A stage
    belongs to settings and data: with others it is refused (training) or done anew (computations).

    Args:
        recipe: the method.
        config: its settings.
        out: the folder: ``config.yaml``, a folder or a file for each stage, and the result,
            ``weights.safetensors`` and its card.
        resume: whether to go on with what is there.
        callbacks: of the training.
        tell: gets what there is to say between, a line each.

    Raises:
        FileNotFoundError: the data are not there.
        FileExistsError: the folder holds something else, or a run and ``resume`` is false.
        ValueError: settings that do not fit the data.
    """

    def __init__(
        self,
        recipe: Recipe,
        config: Any,  # noqa: ANN401 - each method has its own
        out: str | os.PathLike[str],
        *,
        resume: bool = False,
        callbacks: Sequence[Callback] = (),
        tell: Tell = lambda line: None,
    ) -> None:
        self.recipe = recipe
        self.config = config
        self.out = Path(out)
        self.main = os.environ.get("RANK", "0") == "0"
        self.callbacks = callbacks if self.main else ()
        self.tell: Tell = tell if self.main else lambda line: None
        self._check_place(resume)
        self.shapes = open_shapes(recipe.data(config))
        self.stages = recipe.stages(config, self.shapes)

    def run(self, *, minutes: float | None = None) -> Outcome:
        """Runs what is not done.

        Args:
            minutes: stop training and save after so long; no limit if None.

        Returns:
            How the last stage that ran ended.

        Raises:
            ValueError: a stage of other settings or data, a damaged checkpoint, or features that
                are all the same.
            DivergedError: a loss is NaN or inf.
            OSError: something cannot be written.
            OutputLockedError: another process writes into the folder.

        Warns:
            ClusterCollapseWarning: few of the clusters hold most shapes.
        """
        with locked_folder(self.out if self.main else None):
            return self._run(minutes)

    def _run(self, minutes: float | None) -> Outcome:
        deadline = None if minutes is None else time.monotonic() + 60 * minutes
        outcome = Outcome(complete=True, interrupted=False, epoch=0, results={})
        previous = NOTHING
        for number, stage in enumerate(self.stages):
            self._tell_plan(number)
            built = stage.build(self.shapes, previous)
            self._begin()  # only now: what was refused leaves nothing behind
            if not isinstance(built, Method):
                found = self._obtain(built, self.out / stage.name)
                self.tell(f"{stage.name}: {found.describe()}")
                previous = replace(previous, results={**previous.results, stage.name: found})
                continue
            outcome = self._fit(built, stage.name, deadline)
            if not outcome.complete:
                return outcome
            previous = replace(previous, weights=self.out / stage.name)
        self._publish(previous)
        return outcome

    def _fit(self, method: Method, name: str, deadline: float | None) -> Outcome:
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0) / 60
        run = RunFolder(self.out / name)
        return fit(method, run, resume=True, minutes=left, callbacks=self.callbacks)

    def _obtain(self, computation: Computation, path: Path) -> Described:
        """Lets the main process compute and the others read."""
        with Processes("float32").main_first():
            return computation.obtain(path, self._tell_progress)

    def _publish(self, previous: Previous) -> None:
        """Writes the result of the whole."""
        if not self.main:
            return
        model, card = self.recipe.publish(self.config, previous)
        stages = [stage.name for stage in self.stages]
        made = {"recipe": self.recipe.name, "stages": stages, "pipeline": asdict(self.config)}
        save_weights(self.out, model, card | made)
        clusters = card.get("task") == "clusters"
        what = f"the {'model of clusters' if clusters else 'encoder'} is"
        self.tell(f"{self.out}: complete; {what} pcclust.load({str(self.out)!r})")

    def _begin(self) -> None:
        if self.main:
            self.out.mkdir(parents=True, exist_ok=True)
            write_config(self.out / CONFIG, self.config)

    def _tell_plan(self, number: int) -> None:
        shapes = [stage.epochs * len(self.shapes) for stage in self.stages]
        plan = Plan(self.stages[number].name, sum(shapes[:number]), sum(shapes))
        for callback in self.callbacks:
            callback.planned(plan)

    def _tell_progress(self, what: str, done: int, total: int) -> None:
        for callback in self.callbacks:
            callback.preparing(what, done, total)
            if done == total:
                callback.stopped()

    def _check_place(self, resume: bool) -> None:
        if self.out.exists() and not self.out.is_dir():
            raise FileExistsError(f"{self.out} is a file: give another --out")
        settings = self.out / CONFIG
        if settings.exists():
            begun = f"method: {self.recipe.name}\n" in settings.read_text(encoding="utf-8")
            if not begun:
                raise FileExistsError(
                    f"{self.out} holds a run of another command: give another --out"
                )
            if not resume and self.main:
                raise FileExistsError(
                    f"{self.out} holds a run already: go on with it by --resume, or give another "
                    "--out"
                )
        elif self.out.exists() and not all(map(is_left_by_killed, self.out.iterdir())):
            raise FileExistsError(f"{self.out} is there and is no run: give another --out")
