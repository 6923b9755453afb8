import json
import os
import resource
import subprocess
import sys

import pytest
import torch

from pcclust._lock import OutputLockedError
from pcclust.data.measured import DataWarning
from pcclust.training import Position, RunFolder, fit
from pcclust.training.checkpoint import CHECKPOINT
from pcclust.training.run_folder import CONFIG, METRICS
from tests.training.tiny_method import TinyMethod, log


@pytest.fixture
def run(tmp_path):
    """A run that was stopped after its first step."""
    run = RunFolder(tmp_path / "run")
    fit(TinyMethod(), run, minutes=1e-9)
    return run


def change(run, **values):
    state = torch.load(run.checkpoint.path, weights_only=True)
    run.checkpoint.write(state | values)


def resume(run, **settings):
    return fit(TinyMethod(**settings), run, resume=True)


def test_a_checkpoint_holds_nothing_but_tensors_and_numbers(run):
    state = torch.load(run.checkpoint.path, weights_only=True)
    assert state["position"]["batch"] == 1
    assert state["config"]["seed"] == 0


@pytest.mark.parametrize("kept", [0, 10, 0.3, 0.9, -1])
def test_a_truncated_checkpoint_is_named(run, kept):
    content = run.checkpoint.path.read_bytes()
    run.checkpoint.path.write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else kept])
    with pytest.raises(ValueError, match=r"checkpoint.pt is damaged or no .* it can"):
        resume(run)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9, -100, -40, -1])
def test_a_flipped_bit_is_noticed_and_the_checkpoint_before_is_used(tmp_path, place):
    whole = RunFolder(tmp_path / "whole")
    fit(TinyMethod(), whole)
    run = RunFolder(tmp_path / "run")
    fit(TinyMethod(checkpoint_minutes=0), run, minutes=1e-9)
    fit(TinyMethod(checkpoint_minutes=0), run, resume=True, minutes=1e-9)
    content = bytearray(run.checkpoint.path.read_bytes())
    content[int(place * len(content)) if place > 0 else place] ^= 4
    run.checkpoint.path.write_bytes(content)
    with pytest.warns(DataWarning, match=r"checkpoint.pt is damaged .* the one before, .*previous"):
        assert resume(run).complete
    assert log(run.path) == log(whole.path)
    weights = "weights.safetensors"
    assert (run.path / weights).read_bytes() == (whole.path / weights).read_bytes()


def test_a_damaged_checkpoint_never_becomes_the_one_before(run):
    resume(run)
    good = run.checkpoint.previous.read_bytes()
    run.checkpoint.path.write_bytes(b"damage")
    with pytest.warns(DataWarning):
        state = run.checkpoint.read()
    run.checkpoint.write(state)
    assert run.checkpoint.previous.read_bytes() == good
    run.checkpoint.write(state)
    assert run.checkpoint.previous.read_bytes() == run.checkpoint.path.read_bytes()


def test_both_damaged_are_refused_and_a_missing_one_is_replaced(run):
    resume(run)
    run.checkpoint.path.unlink()
    with pytest.warns(DataWarning, match="checkpoint.pt is missing; the run goes on from the one"):
        resume(run)
    for path in (run.checkpoint.path, run.checkpoint.previous):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"and there is no whole one before it; it can only be"):
        resume(run)


def test_without_hard_links_the_one_before_is_kept_too(run, monkeypatch):
    def refuse(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    before = run.checkpoint.path.read_bytes()
    run.checkpoint.write({"a": 1})
    assert run.checkpoint.previous.read_bytes() == before
    assert run.checkpoint.read() == {"a": 1}


def test_a_pickle_in_place_of_a_checkpoint_is_not_run(run):
    run.checkpoint.path.write_bytes(b"cos\nsystem\n(S'touch " + os.fsencode(run.path) + b"/x'\ntR.")
    with pytest.raises(ValueError, match="is damaged or no checkpoint"):
        resume(run)
    torch.save({"model": 1}, run.checkpoint.path)
    with pytest.raises(ValueError, match="its checksum is wrong or missing"):
        resume(run)
    run.checkpoint.write({"model": 1})
    with pytest.raises(ValueError, match="is no checkpoint of a run of this version"):
        resume(run)
    assert not (run.path / "x").exists()


def test_a_checkpoint_of_something_else_is_named(run):
    change(run, method="other")
    with pytest.raises(ValueError, match="is of the method 'other', not 'tiny'"):
        resume(run)
    change(run, method="tiny", data_sha256="1" * 64)
    with pytest.raises(ValueError, match=r"other training data \(SHA-256 1{12}…, now 0{12}…"):
        resume(run)
    change(run, data_sha256="0" * 64, model={"layer.weight": torch.ones(1)})
    with pytest.raises(ValueError, match=r"is of another model: Error.* in loading state_dict"):
        resume(run)


def test_other_settings_are_named_and_those_that_change_nothing_are_free(run):
    with pytest.raises(ValueError, match=r"other settings: learning_rate was 0.001 and is 0.01\. "):
        resume(run, learning_rate=0.01)
    run.begin(TinyMethod(seed=5).config)  # the checkpoint still knows
    with pytest.raises(ValueError, match="other settings: seed was 0 and is 5"):
        resume(run, seed=5)
    run.begin(TinyMethod().config)
    assert resume(run, workers=0, log_every=1, checkpoint_minutes=1).complete


def test_a_run_killed_before_its_first_checkpoint_begins_anew(run):
    run.checkpoint.path.unlink()
    (run.path / CONFIG).rename(run.path / ".config.yaml.77.tmp")
    assert not run.checkpoint.exists()
    run.check_free()
    (run.path / ".config.yaml.77.tmp").rename(run.path / CONFIG)
    run.metrics.write_text('{"step": 1}\n{"ste')
    (run.path / ".checkpoint.pt.77.tmp").touch()
    assert resume(run).complete
    assert json.loads(run.metrics.read_text().splitlines()[0])["step"] == 2
    assert not (run.path / ".checkpoint.pt.77.tmp").exists()


FULL = """
import resource, sys
from pcclust.training import Position, RunFolder, fit
from tests.training.tiny_method import TinyMethod

run, method = RunFolder(sys.argv[1]), TinyMethod(checkpoint_minutes=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
fit(method, run, resume=True)
"""


def test_no_room_for_a_checkpoint_keeps_the_last_good_one(run):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    before = run.checkpoint.path.read_bytes()
    limit = str(len(before) // 2)
    command = [sys.executable, "-c", FULL, str(run.path), limit]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("OSError: [Errno 27] ")
    assert "checkpoint.pt cannot be written (File too large); what was there before is kept" in last
    assert "go on from" in last
    assert run.checkpoint.path.read_bytes() == before
    assert sorted(path.name for path in run.path.iterdir()) == [CHECKPOINT, CONFIG, METRICS]
    assert resume(run).complete


def test_no_room_for_the_log_says_so(run):
    run.metrics.mkdir()
    with pytest.raises(OSError, match=r"metrics.jsonl cannot be written .*; go on from .*--resume"):
        run.log(Position(), {"step": 1})


def test_two_processes_never_write_one_run(run):
    with run.locked(), pytest.raises(OutputLockedError, match="is being written by process"):
        resume(run)
    with pytest.raises(OutputLockedError), run.locked():
        fit(TinyMethod(), run, resume=True)
    assert resume(run).complete
    assert not list(run.path.glob("*.lock"))


def test_a_folder_of_other_things_becomes_no_run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="run"):
        fit(TinyMethod(), RunFolder(tmp_path / "run"))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]
