"""The training loop: one for every method."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import torch

from pcclust.data.seeding import seeded_generator
from pcclust.nn.weights import save_weights
from pcclust.training.callback import Callback, Step
from pcclust.training.interruption import Interruption
from pcclust.training.method import Batch, Method
from pcclust.training.optimizer import (
    create_optimizer,
    forget,
    learning_rate,
    set_learning_rate,
)
from pcclust.training.outcome import DivergedError, Outcome
from pcclust.training.processes import Processes
from pcclust.training.run_folder import Position, RunFolder

Result = TypeVar("Result")
BEGIN_EPOCH = 1  # a use of the seed


def fit(
    method: Method,
    run: RunFolder,
    *,
    resume: bool = False,
    minutes: float | None = None,
    callbacks: Sequence[Callback] = (),
) -> Outcome:
    """Trains a method, or goes on with a run, until its epochs are done.

    On a CPU the same seed gives the same bits, also when the run is killed and resumed any number
    of times. Under ``torchrun`` each process takes its share of every batch, and with
    ``accumulate`` that share in parts. So the number of processes and parts changes a result only
    by rounding, and by what is taken of a part alone: BatchNorm's statistics, dropout, contrasts.
    Where processes times parts is the same, a step is the same to rounding with those, too.

    It leaves the process as it finds it; commands call
    `pcclust.training.allocator` before, which makes steps on a CPU faster.

    Args:
        method: what to train.
        run: its folder.
        resume: whether to go on with the run in that folder, or begin it if there is none.
        minutes: stop and save after so long, to be resumed; no limit if None.
        callbacks: are told how it goes.

    Returns:
        How it ended. A first Ctrl-C, SIGTERM or SIGHUP saves and returns, a second one raises.

    Raises:
        ImportError: accelerate is not installed.
        FileExistsError: there is a run in the folder, and ``resume`` is false.
        ValueError: a checkpoint that does not fit, or a batch size that cannot be shared.
        DivergedError: the loss is NaN or inf; the last checkpoint stays.
        OSError: the checkpoint or the log cannot be written; the last checkpoint stays.
        OutputLockedError: another process writes into the folder.
    """
    if resume:
        run.check_config(method.config)
    else:
        run.check_free()
    loop = _Loop(method, run, Processes(method.config.precision), callbacks)
    deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes
    with ExitStack() as stack:
        if loop.main:
            stack.enter_context(run.locked())
        stack.callback(loop.stop)
        stack.enter_context(torch.random.fork_rng(devices=[]))
        loop.prepare(resume)
        stack.enter_context(loop.interruption.watched())
        return loop.train(deadline)


class _Loop:
    """What all steps share."""

    def __init__(
        self,
        method: Method,
        run: RunFolder,
        processes: Processes,
        callbacks: Sequence[Callback],
    ) -> None:
        self.method = method
        self.config = method.config
        self.run = run
        self.processes = processes
        method.part = (processes.index, processes.count)
        self.main = processes.main
        self.callbacks = callbacks if processes.main else ()
        self.interruption = Interruption()
        self.position = Position()

    def prepare(self, resume: bool) -> None:
        """Makes everything ready for the next step."""
        self.processes.check_shares(self.config.batch_size, self.config.accumulate)
        with self.processes.main_first():
            self.method.prepare(self._tell_preparing)
        unused = self.method.leaves_parameters_unused
        self.model = self.processes.wrap(self.method.model, unused=unused)
        self.optimizer = create_optimizer(self.method.param_groups(), self.config)
        if resume:
            self.position = self.run.restore(self.method, self.optimizer)
        self.processes.wait()
        if self.main:
            self.run.begin(self.config)
        self.saved_at = time.monotonic()

    def train(self, deadline: float) -> Outcome:
        """Runs epochs until they are done or something ends them."""
        for callback in self.callbacks:
            callback.started(self.method, self.position)
        while not self._done():
            trained = self._begin_epoch() and self._epoch(deadline)
            metrics = self._evaluated(self.method.evaluate) if trained else None
            if metrics is None:
                return self._outcome()
            self._end_epoch(metrics)
        if self.position.results is None:
            results = self._evaluated(self.method.finish)
            if results is not None:
                self._end_run(results)
        return self._outcome()

    def stop(self) -> None:
        """Says that nothing more will come."""
        for callback in self.callbacks:
            callback.stopped()

    def _done(self) -> bool:
        """Returns whether there is no epoch left to begin or to end."""
        position = self.position
        converged = position.epoch > 0 and position.batch == 0 and self.method.converged()
        return position.epoch >= self.config.epochs or self.processes.anywhere(converged)

    def _begin_epoch(self) -> bool:
        """Does what is due before an epoch's first batch; returns whether nothing stopped it."""
        if self.position.batch:
            return True
        # Unlike the keys of orders, views and steps.
        keys = (self.config.seed, self.position.epoch, 0, 0, BEGIN_EPOCH)
        torch.manual_seed(seeded_generator(*keys).initial_seed())

        def begin() -> bool:
            made_anew = self.method.begin_epoch(self.position.epoch, self._tell_preparing)
            forget(self.optimizer, made_anew)
            return True

        if self._without_gradients(begin) is None:
            return False
        self.processes.follow_main(self.method.model)
        return True

    def _epoch(self, deadline: float) -> bool:
        """Makes the steps that an epoch still lacks; returns whether nothing stopped it."""
        position = self.position
        self.method.model.train()
        before = time.monotonic()
        for batch in self.method.batches(position.epoch, position.batch):
            self._step(batch)
            now = time.monotonic()
            position.batch += 1
            position.seconds += now - before
            before = now
            stopped = self.processes.anywhere(self.interruption.wished or now >= deadline)
            if stopped or now - self.saved_at >= 60 * self.config.checkpoint_minutes:
                self._save()
            if stopped:
                return False
        self._save()  # so that the evaluation may be interrupted
        return True

    def _step(self, batch: Batch) -> None:
        step = self.position.epoch * self.method.steps_per_epoch + self.position.batch
        rate = learning_rate(step, self.method.steps_per_epoch, self.config)
        set_learning_rate(self.optimizer, rate)
        self.optimizer.zero_grad()
        values = self._accumulated(batch, step)
        norm = self.processes.clip(self.model, self.config.clip_norm or math.inf)
        self._check_finite("norm of the gradient", norm, step)
        self.optimizer.step()
        with torch.no_grad():
            self.method.after_step()
        self._count(step + 1, self.processes.mean(values), rate)

    def _accumulated(self, batch: Batch, step: int) -> dict[str, float]:
        """Computes the gradient of this process's share, part by part; returns mean losses."""
        parts, values = self.config.accumulate, dict[str, float]()
        for part in range(parts):
            # Dropout depends on step and part alone: no state of a generator has to be kept.
            keys = (self.config.seed, step, self.processes.index * parts + part)
            torch.manual_seed(seeded_generator(*keys).initial_seed())
            share = self.processes.share(batch, self.config.batch_size, part, parts)
            scalars = self.method.loss(self.model, share)
            for name, value in scalars.items():
                values[name] = values.get(name, 0.0) + float(value.detach()) / parts
            self._check_finite("loss", values["loss"], step)
            loss = scalars["loss"] if parts == 1 else scalars["loss"] / parts
            self.processes.backward(loss, self.model, last=part + 1 == parts)
        return values

    def _count(self, step: int, values: dict[str, float], rate: float) -> None:
        for name, value in values.items():
            self.position.sums[name] = self.position.sums.get(name, 0.0) + value
        if self.main and step % self.config.log_every == 0:
            self.run.log(self.position, {"step": step, **values, "learning_rate": rate})
        for callback in self.callbacks:
            callback.stepped(Step(step, self.position.epoch + 1, values["loss"], rate))

    def _evaluated(self, measure: Callable[[], dict[str, float]]) -> dict[str, float] | None:
        """Measures in the first process, where the others wait; returns None if interrupted."""
        metrics = self._without_gradients(measure if self.main else dict)
        if metrics is not None:
            self.processes.wait()
        return metrics

    def _without_gradients(self, work: Callable[[], Result]) -> Result | None:
        """Does what a resumed run does again, in evaluation mode; returns None if interrupted."""
        self.method.model.eval()
        self.interruption.at_once = self.processes.count == 1
        try:
            with torch.no_grad():
                return work()
        except KeyboardInterrupt:
            if not self.interruption.at_once:
                raise
            return None
        finally:
            self.interruption.at_once = False

    def _end_epoch(self, metrics: dict[str, float]) -> None:
        position, steps = self.position, self.method.steps_per_epoch
        means = {f"train_{name}": total / steps for name, total in position.sums.items()}
        measured = means | metrics
        position.epoch, position.batch, position.sums = position.epoch + 1, 0, {}
        self._record(position.epoch, measured)
        self._save()

    def _end_run(self, results: dict[str, float]) -> None:
        self.position.results = results
        if results or not self.config.epochs:
            self._record(None, results)
        self._save()

    def _record(self, epoch: int | None, measured: dict[str, float]) -> None:
        """Logs what was measured of an epoch or the run, and saves the weights it is true of."""
        if not self.main:
            return
        position = self.position
        step = position.epoch * self.method.steps_per_epoch
        what: dict[str, Any] = {"complete": True} if epoch is None else {"epoch": epoch}
        line = what | {"step": step, **measured, "seconds": round(position.seconds, 1)}
        details = {} if epoch is None else self.method.details()
        self.run.log(position, line | details)
        model, card = self.method.saved()
        progress = {"epoch": position.epoch, "seconds": line["seconds"], "metrics": measured}
        save_weights(self.run.path, model, card | progress)
        for callback in self.callbacks if measured else ():
            callback.measured(epoch, step, measured)

    def _save(self) -> None:
        if self.main:
            self.run.save(self.method, self.position, self.optimizer)
        self.saved_at = time.monotonic()

    def _outcome(self) -> Outcome:
        results, wished = self.position.results, self.interruption.wished
        return Outcome(results is not None, wished, self.position.epoch, results or {})

    def _tell_preparing(self, what: str, done: int, total: int) -> None:
        for callback in self.callbacks:
            callback.preparing(what, done, total)

    def _check_finite(self, what: str, value: float, step: int) -> None:
        """Raises before weights are touched that a later checkpoint would hold."""
        if math.isfinite(value):
            return
        raise DivergedError(
            f"the {what} is {value} in epoch {self.position.epoch + 1}, step {step + 1}. "
            f"{'The last checkpoint' if self.run.checkpoint.exists() else 'No checkpoint'} is in "
            f"{self.run.path}; begin anew with a learning rate below {self.config.learning_rate} "
            "or with --clip-norm 1, and see whether the data hold NaN"
        )
