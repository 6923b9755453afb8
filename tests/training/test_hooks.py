"""What a method may do at the beginning of an epoch and after a step, and when it ends."""

import copy

import pytest
import torch

from pcclust.training import RunFolder, fit
from pcclust.training.optimizer import create_optimizer, forget, learning_rate, set_learning_rate
from tests.training.tiny_method import TinyMethod


class Hooked(TinyMethod):
    """Learns a target and makes its head anew in each epoch, and keeps an average of a layer."""

    def __init__(self, stop=None, **settings):
        super().__init__(**settings)
        self.stop = stop
        self.begun = []
        for name in ("target", "average", "epochs"):
            self.model.register_buffer(
                name, torch.zeros(8) if name == "target" else torch.zeros(())
            )

    def begin_epoch(self, epoch, progress):
        assert not self.model.training
        assert not torch.is_grad_enabled()
        progress("targets", 1, 1)
        self.begun.append(epoch)
        points = self.loader.dataset.points
        self.model.target.copy_(self.model.layer(points).amax(dim=1).mean(dim=0))
        self.model.head.reset_parameters()  # by torch's own generator
        return self.model.head.parameters()

    def after_step(self):
        assert not torch.is_grad_enabled()
        self.model.average.lerp_(self.model.layer.weight.mean(), 0.1)

    def evaluate(self):
        self.model.epochs += 1
        return {}

    def converged(self):
        return self.stop is not None and int(self.model.epochs) >= self.stop

    def loss(self, model, batch):
        scalars = super().loss(model, batch)
        aim = (self.model.layer(batch[0]).amax(dim=1) - self.model.target).square().mean()
        return scalars | {"loss": scalars["loss"] + aim + self.model.average}

    def param_groups(self):
        first, *others = super().param_groups()
        head = {id(p) for p in self.model.head.parameters()}
        kept = [p for p in first["params"] if id(p) not in head]
        return [
            first | {"params": kept},
            *others,
            {"params": [self.model.head.weight], "lr_scale": 3.0},
        ]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_cut_into_pieces_it_has_the_same_bits(tmp_path, optimizer):
    whole = Hooked(optimizer=optimizer)
    fit(whole, RunFolder(tmp_path / "whole"))
    assert whole.begun == [0, 1, 2]
    pieces = []
    while True:
        piece = Hooked(optimizer=optimizer)
        pieces.append(piece)
        if fit(piece, RunFolder(tmp_path / "cut"), resume=True, minutes=0).complete:
            break
    assert sorted(e for piece in pieces for e in piece.begun) == [0, 1, 2]  # never within an epoch
    for name, value in whole.model.state_dict().items():
        assert torch.equal(pieces[-1].model.state_dict()[name], value), name


def test_a_method_that_has_converged_ends_and_stays_ended(tmp_path):
    method = Hooked(epochs=5, stop=2)
    outcome = fit(method, RunFolder(tmp_path / "run"))
    assert (outcome.complete, outcome.epoch, method.begun) == (True, 2, [0, 1])
    again = Hooked(epochs=5, stop=2)
    assert fit(again, RunFolder(tmp_path / "run"), resume=True).complete
    assert again.begun == []


def test_an_interruption_at_the_beginning_of_an_epoch_loses_nothing(tmp_path, monkeypatch):
    def interrupted(self, epoch, progress):
        self.model.target.fill_(7)
        raise KeyboardInterrupt

    method = Hooked()
    assert not fit(method, RunFolder(tmp_path / "run"), minutes=0).complete
    monkeypatch.setattr(Hooked, "begin_epoch", interrupted)
    cut = Hooked()
    outcome = fit(cut, RunFolder(tmp_path / "run"), resume=True)
    assert (outcome.complete, outcome.epoch) == (False, 1)
    monkeypatch.undo()
    last = Hooked()
    fit(last, RunFolder(tmp_path / "run"), resume=True)
    whole = Hooked()
    fit(whole, RunFolder(tmp_path / "whole"))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(last.model.state_dict()[name], value), name


def test_groups_have_rates_of_their_own_and_state_is_dropped():
    method = Hooked()
    optimizer = create_optimizer(method.param_groups(), method.config)
    set_learning_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5, 1.5]
    method.loss(method.model, next(method.batches(0, 0)))["loss"].backward()
    optimizer.step()
    known = len(optimizer.state)
    forget(optimizer, method.model.head.parameters())
    assert len(optimizer.state) == known - 2
    assert method.model.layer.weight in optimizer.state
    before = copy.deepcopy(optimizer.state_dict())
    create_optimizer(Hooked().param_groups(), method.config).load_state_dict(before)


def test_schedules():
    from pcclust.training import TrainingConfig

    def rates(schedule):
        config = TrainingConfig(epochs=8, learning_rate=1.0, warmup_epochs=2, schedule=schedule)
        return [learning_rate(step, 1, config) for step in range(8)]

    assert rates("constant") == [0.5, *[1.0] * 7]
    assert rates("step") == pytest.approx([0.5, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    assert rates("trapezoid") == [0.5, *[1.0] * 6, 0.5]
    assert rates("cosine")[:3] == [0.5, 1, 1]
    assert 0 < rates("cosine")[-1] < 0.1
