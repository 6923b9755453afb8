"""Trackers of experiments get what is measured: ours, fakes of others, and anything of a user."""

import json
import sys
from types import SimpleNamespace

import pytest

from pcclust.training import Logging, RunFolder, create_logger, fit
from pcclust.training.callback import Plan
from pcclust.training.logger import Beginning, logging_callbacks
from tests.training.test_loop import StopAt
from tests.training.tiny_method import TinyMethod


class Recorder:
    """A logger that remembers what it is told."""

    def __init__(self):
        self.calls = []

    def start(self, beginning):
        self.calls.append(("start", beginning.stage, beginning.done, dict(beginning.settings)))

    def log(self, values, step):
        self.calls.append(("log", step, dict(values)))

    def stop(self):
        self.calls.append(("stop",))


class FakeWandb:
    """What W&B would do, written down."""

    def __init__(self):
        self.runs = []

    def Settings(self):  # noqa: N802
        return SimpleNamespace(project=None)

    def init(self, **settings):
        logged = []
        run = SimpleNamespace(
            settings=settings,
            logged=logged,
            log=lambda values, step: logged.append((step, values)),
            finish=lambda: logged.append("finished"),
        )
        self.runs.append(run)
        return run


class FakeMLflow:
    """What MLflow would do, written down."""

    def __init__(self):
        self.calls = []

    def start_run(self, run_id=None, run_name=None):
        self.calls.append(("start", run_id, run_name))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or f"id{len(self.calls)}"))

    def log_params(self, settings):
        self.calls.append(("params", settings))

    def log_metrics(self, values, step):
        self.calls.append(("metrics", step, values))

    def end_run(self):
        self.calls.append(("end",))


@pytest.fixture
def wandb(monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


@pytest.fixture
def mlflow(monkeypatch):
    fake = FakeMLflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    return fake


def measured(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
    return [line["val_loss"] for line in lines if "epoch" in line]


def test_a_run_that_is_stopped_and_goes_on_is_told_whole(tmp_path):
    told = Recorder()
    run = RunFolder(tmp_path / "run")
    fit(TinyMethod(), run, callbacks=[Logging(told), StopAt(8)])
    assert told.calls[0][:3] == ("start", "", 0)
    assert told.calls[0][3]["batch_size"] == 4
    assert told.calls[-1] == ("stop",)
    count = len(told.calls)
    fit(TinyMethod(), run, resume=True, callbacks=[Logging(told)])
    again = told.calls[count:]
    done = again[0][2]
    assert 0 < done <= 8
    steps = [call[1] for call in again if call[0] == "log" and "step_loss" in call[2]]
    assert steps == list(range(done + 1, 19))
    found = [
        call[2]["val_loss"] for call in told.calls if call[0] == "log" and "val_loss" in call[2]
    ]
    assert found[-3:] == measured(tmp_path / "run")
    assert ("log", 18, {"test_loss": 0.5}) in again


def test_wandb_has_one_run_that_goes_on(tmp_path, wandb):
    run = RunFolder(tmp_path / "mine")
    fit(TinyMethod(), run, callbacks=[Logging(create_logger("wandb", run.path)), StopAt(8)])
    fit(TinyMethod(), run, resume=True, callbacks=[Logging(create_logger("wandb", run.path))])
    first, second = wandb.runs
    assert first.settings["id"] == second.settings["id"]
    told = {name: first.settings[name] for name in ("project", "group", "name", "resume")}
    assert told == {"project": "pcclust", "group": "mine", "name": "mine", "resume": "allow"}
    assert first.settings["config"]["batch_size"] == 4
    assert second.logged[-1] == "finished"
    assert (18, {"test_loss": 0.5}) in second.logged
    fit(TinyMethod(), RunFolder(tmp_path / "other"),
        callbacks=logging_callbacks(("wandb", "wandb"), tmp_path / "other"))  # fmt: skip
    assert len(wandb.runs) == 3
    assert wandb.runs[2].settings["id"] != first.settings["id"]


def test_mlflow_has_one_run_that_goes_on_and_no_nan(tmp_path, mlflow):
    run = RunFolder(tmp_path / "mine")
    fit(TinyMethod(), run, callbacks=[Logging(create_logger("mlflow", run.path)), StopAt(8)])
    fit(TinyMethod(), run, resume=True, callbacks=[Logging(create_logger("mlflow", run.path))])
    starts = [call for call in mlflow.calls if call[0] == "start"]
    assert starts == [("start", None, "mine"), ("start", "id1", None)]
    assert [call[0] for call in mlflow.calls].count("params") == 1
    assert mlflow.calls[1][1]["batch_size"] == 4
    assert mlflow.calls[-1] == ("end",)
    assert ("metrics", 18, {"test_loss": 0.5}) in mlflow.calls
    logger = create_logger("mlflow", run.path)
    logger.log({"a": float("nan"), "b": 1.0}, 3)
    assert mlflow.calls[-1] == ("metrics", 3, {"b": 1.0})
    logger.log({"a": float("nan")}, 4)
    assert mlflow.calls[-1][1] == 3


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_each_stage_is_a_run_of_its_own(tmp_path, name, wandb, mlflow):
    logger = create_logger(name, tmp_path / "deep")
    for stage in ("features", "clusters"):
        logger.start(Beginning(stage, {}, 0))
        logger.stop()
    logger.start(Beginning("clusters", {}, 0))  # anew, which is another run
    identities = [run.settings["id"] for run in wandb.runs]
    assert len(set(identities)) == len(identities)
    assert all(call[1] is None for call in mlflow.calls if call[0] == "start")
    names = [run.settings["name"] for run in wandb.runs]
    names += [call[2] for call in mlflow.calls if call[0] == "start"]
    assert names == ["deep-features", "deep-clusters", "deep-clusters"]


def test_steps_of_a_planned_stage_are_told_with_its_name():
    told = Recorder()
    logging = Logging(told)
    logging.planned(Plan("features", 0, 10))
    logging.stopped()  # before it was started
    assert told.calls == []
    assert logging._stage == "features"


@pytest.mark.parametrize("name", ["wandb", "mlflow", "tensorboard"])
def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"--logger {name} .*pip install 'pcclust\[{name}\]'"):
        create_logger(name, tmp_path)
    with pytest.raises(ValueError, match="no logger 'comet' among mlflow, tensorboard, wandb"):
        create_logger("comet", tmp_path)


def test_tensorboard_forgets_the_steps_that_are_made_again(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for done, value in ((0, 1.0), (2, 2.0)):
        logger = create_logger("tensorboard", tmp_path)
        logger.start(Beginning("", {}, done))
        for step in range(done + 1, 5):
            logger.log({"loss": value}, step)
        logger.stop()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    found = [(event.step, event.value) for event in events.Scalars("loss")]
    assert found == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)]
