import math
import os
import signal
import time

import pytest
import torch
from safetensors.torch import load_file

from pcclust.training import Callback, DivergedError, RunFolder, fit
from tests.training.tiny_method import SETTINGS, SHAPES, TinyMethod, log


class StopAt(Callback):
    """Sends this process a signal after a step, or when an epoch is measured."""

    def __init__(self, step, number=signal.SIGTERM):
        self.step, self.number = step, number

    def stepped(self, step):
        if step.number == self.step:
            os.kill(os.getpid(), self.number)


def state(method):
    return {name: value.clone() for name, value in method.model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def whole(tmp_path):
    """An uninterrupted run."""
    method = TinyMethod()
    outcome = fit(method, RunFolder(tmp_path / "whole"))
    assert (outcome.complete, outcome.epoch, outcome.results) == (True, 3, {"test_loss": 0.5})
    return method, tmp_path / "whole"


def test_same_seed_same_bits_whatever_else_is_drawn_and_however_many_workers(whole, tmp_path):
    torch.rand(7)
    method = TinyMethod(workers=0)
    before = torch.random.get_rng_state()
    fit(method, RunFolder(tmp_path / "again"))
    assert same(state(method), state(whole[0]))
    assert torch.equal(before, torch.random.get_rng_state())  # the caller's generator is his own
    assert log(tmp_path / "again") == log(whole[1])
    other = TinyMethod(seed=1)
    fit(other, RunFolder(tmp_path / "other"))
    assert not same(state(other), state(whole[0]))


def test_it_learns_by_the_steps_it_says(tmp_path):
    """Against the same steps written out, without the loop."""
    method, reference = TinyMethod(norm=False), TinyMethod(norm=False)
    fit(method, RunFolder(tmp_path / "run"))
    parameters = dict(reference.model.named_parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for n, p in parameters.items() if "weight" in n], "weight_decay": 0.05},
            {"params": [p for n, p in parameters.items() if "bias" in n], "weight_decay": 0.0},
        ]
    )
    steps, warmup = 3 * SHAPES // 4, SHAPES // 4
    for step in range(steps):
        rising = (step + 1) / warmup
        falling = (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (rising if step < warmup else falling)
        batch = list(reference.batches(step // warmup, 0))[step % warmup]
        optimizer.zero_grad()
        reference.loss(reference.model, batch)["loss"].backward()
        optimizer.step()
    assert same(state(method), state(reference))


def test_the_log_has_each_epoch_and_some_steps(whole):
    lines = log(whole[1])
    losses = torch.stack(whole[0].losses).double().tolist()
    epochs = [line.get("epoch") for line in lines]
    assert epochs == [None, None, None, 1, None, None, None, 2, None, None, None, 3, None]
    assert [line["step"] for line in lines[:4]] == [2, 4, 6, 6]
    assert lines[0]["loss"] == pytest.approx(losses[1])
    assert lines[3]["train_loss"] == pytest.approx(sum(losses[:6]) / 6)
    assert lines[7]["train_loss"] == pytest.approx(sum(losses[6:12]) / 6)
    assert lines[3]["train_fraction"] == pytest.approx(0.5, abs=0.3)
    assert "val_loss" in lines[3]
    assert lines[-1] == {"complete": True, "step": 18, "test_loss": 0.5}


@pytest.mark.parametrize("step", [1, 5, 6, 7, 17, 18])
def test_interrupted_at_any_step_and_resumed_it_has_the_same_bits(whole, tmp_path, step):
    run = RunFolder(tmp_path / "cut")
    outcome = fit(TinyMethod(), run, callbacks=[StopAt(step)])
    assert not outcome.complete
    assert outcome.interrupted
    assert outcome.epoch == (step - 1) // 6
    method = TinyMethod()
    assert fit(method, run, resume=True).complete
    assert same(state(method), state(whole[0]))
    assert log(run.path) == log(whole[1])
    weights = "weights.safetensors"
    assert (run.path / weights).read_bytes() == (whole[1] / weights).read_bytes()


def test_interrupted_while_it_measures_it_measures_again(whole, tmp_path):
    run, method = RunFolder(tmp_path / "cut"), TinyMethod()
    method.evaluate = lambda: os.kill(os.getpid(), signal.SIGINT) or time.sleep(60)
    outcome = fit(method, run)
    assert outcome.interrupted
    assert outcome.epoch == 0
    method = TinyMethod()
    assert fit(method, run, resume=True).complete
    assert same(state(method), state(whole[0]))
    assert log(run.path) == log(whole[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_handlers_of_signals_are_put_back(number, tmp_path):
    def mine(*_: object) -> None: ...

    before = signal.signal(number, mine)
    try:
        fit(TinyMethod(), RunFolder(tmp_path / "short"), minutes=1e-9)
        assert signal.getsignal(number) is mine
    finally:
        signal.signal(number, before)


def test_the_time_allowed_ends_a_run_that_can_go_on(whole, tmp_path):
    run = RunFolder(tmp_path / "short")
    outcomes = [fit(TinyMethod(), run, resume=True, minutes=1e-9) for _ in range(3)]
    assert not any(outcome.complete or outcome.interrupted for outcome in outcomes)
    method = TinyMethod()
    assert fit(method, run, resume=True, minutes=1).complete
    assert len(method.losses) == 18 - 3  # each time it made one step
    assert same(state(method), state(whole[0]))


def test_a_complete_run_is_left_as_it_is(whole):
    before = {path.name: path.read_bytes() for path in whole[1].iterdir()}
    assert fit(TinyMethod(), RunFolder(whole[1]), resume=True).results == {"test_loss": 0.5}
    assert before == {path.name: path.read_bytes() for path in whole[1].iterdir()}


def test_a_run_is_not_overwritten(whole, tmp_path):
    with pytest.raises(FileExistsError, match="holds a run already: go on with it by --resume"):
        fit(TinyMethod(), RunFolder(whole[1]))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter").touch()
    for resume in (False, True):
        with pytest.raises(FileExistsError, match="is there and is no run"):
            fit(TinyMethod(), RunFolder(tmp_path / "other"), resume=resume)


@pytest.mark.parametrize("what", ["loss", "norm of the gradient"])
def test_nan_stops_the_run_and_keeps_the_last_checkpoint(tmp_path, what):
    run, method = RunFolder(tmp_path / "run"), TinyMethod(checkpoint_minutes=0)
    usual = method.loss

    def poisoned(model, batch):
        scalars = usual(model, batch)
        if len(method.losses) == 9:
            # The square root at 0 is finite, its gradient is not.
            bad = scalars["loss"] * math.nan if what == "loss" else model.head.bias.sum() * 0
            scalars["loss"] = scalars["loss"] + (bad if what == "loss" else bad.sqrt())
        return scalars

    method.loss = poisoned
    with pytest.raises(DivergedError, match=rf"the {what} is nan in epoch 2, step 9\. The last"):
        fit(method, run)
    healthy = TinyMethod(checkpoint_minutes=0)
    assert fit(healthy, run, resume=True).complete
    assert len(healthy.losses) == 18 - 8
    assert all(value.isfinite().all() for value in healthy.model.state_dict().values())


def test_a_gradient_is_cut_to_the_norm(tmp_path):
    norms = []
    method = TinyMethod(optimizer="sgd", learning_rate=1.0, clip_norm=0.01, weight_decay=0.0)

    class Norm(Callback):
        def stepped(self, step):
            parameters = method.model.parameters()
            norms.append(math.sqrt(sum(float(p.grad.square().sum()) for p in parameters)))

    fit(method, RunFolder(tmp_path / "run"), callbacks=[Norm()])
    assert max(norms) <= 0.01 * (1 + 1e-5)
    assert norms[0] == pytest.approx(0.01, rel=1e-3)


def test_bfloat16_trains_float32_weights(tmp_path):
    method, reference = TinyMethod(precision="bfloat16"), TinyMethod()
    fit(method, RunFolder(tmp_path / "bf16"))
    fit(reference, RunFolder(tmp_path / "f32"))
    assert all(p.dtype == torch.float32 for p in method.model.parameters())
    assert method.losses[0] != reference.losses[0]
    assert method.losses[0].item() == pytest.approx(reference.losses[0].item(), rel=0.05)


def test_batches_that_batch_norm_cannot_take_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--batch-size 1 leaves a single shape to each of 1 proc"):
        fit(TinyMethod(batch_size=1), RunFolder(tmp_path / "run"))


def test_settings_of_the_tiny_method_are_what_the_tests_count_with():
    assert SHAPES // SETTINGS["batch_size"] * SETTINGS["epochs"] == 18


def test_no_epoch_saves_the_untrained_network(tmp_path):
    method = TinyMethod(epochs=0)
    before = {name: value.clone() for name, value in method.model.state_dict().items()}
    run = RunFolder(tmp_path / "run")
    for resume in (False, True):
        assert fit(method, run, resume=resume).complete
        held = load_file(run.path / "weights.safetensors")
        assert held.keys() == before.keys()
        assert all(torch.equal(held[name], before[name]) for name in held)
    assert not method.losses
