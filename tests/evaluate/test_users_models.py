"""Models as users bring them: wrapped, exported, with arguments, with odd outputs, random."""

import pickle
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from pcclust.evaluate import Probes, corruption, linear
from pcclust.evaluate.forward import Predictor
from pcclust.evaluate.model_programs import _tensors_alone
from pcclust.evaluate.model_source import find_model
from pcclust.evaluate.rotation import rotation
from pcclust.evaluate.rotations import Rotations
from pcclust.report.registry import view_of

CODE = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self, width=4, bias=True):
        super().__init__()
        self.inner = nn.Linear(3, width, bias=bias)
        self.norm = nn.BatchNorm1d(width)
    def forward(self, x):
        return self.norm(self.inner(x).amax(dim=1))
def make(width):
    return Net(width)
"""


@pytest.fixture
def code(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wrapped(state, prefix):
    return {prefix + name: value for name, value in state.items()}


def checkpoints(state):
    """What wrappers and trainers make of a state_dict."""
    compiled = {n.replace("inner.", "inner._orig_mod."): v for n, v in state.items()}
    lightning = wrapped(state, "model.") | {"criterion.weight": torch.ones(3)}
    return {
        "plain": state,
        "DataParallel": wrapped(state, "module."),
        "compile": wrapped(state, "_orig_mod."),
        "DDP of compiled": wrapped(state, "module._orig_mod."),
        "compiled part": compiled,
        "net": {"net": wrapped(state, "backbone."), "epoch": 3},
        "Lightning": {"state_dict": lightning, "epoch": 3, "hyper_parameters": {"lr": 0.1}},
        "EMA": wrapped(state, "module.") | {"n_averaged": torch.tensor(5)},
        "nested": {"ema": {"state_dict": wrapped(state, "encoder.net.")}, "step": 1},
        "trainer": {"model_state_dict": state, "optimizer": {"lr": 1.0}},
    }


@pytest.mark.parametrize("kind", list(checkpoints({})))
def test_what_wrappers_and_trainers_add_to_names_is_taken_off(code, kind):
    net = find_model("mine.py:Net").model
    with torch.no_grad():
        net.inner.weight.fill_(0.25)
    torch.save(checkpoints(net.state_dict())[kind], code / "w.pt")
    found = find_model("mine.py:Net", code / "w.pt").model
    for name, value in net.state_dict().items():
        assert torch.equal(found.state_dict()[name], value)


def test_what_does_not_fit_or_fits_twice_is_named(code):
    state = find_model("mine.py:Net").model.state_dict()
    torch.save(wrapped(state, "model.") | wrapped(state, "ema."), code / "twice.pt")
    with pytest.raises(ValueError, match=r"twice.pt: they hold the model 2 times, under 'ema"):
        find_model("mine.py:Net", code / "twice.pt")
    torch.save(wrapped({n: v for n, v in state.items() if "inner" in n}, "net."), code / "part.pt")
    with pytest.raises(ValueError, match=r"part.pt does not fit .*inner.bias is not in it"):
        find_model("mine.py:Net", code / "part.pt")


def test_a_name_may_have_arguments(code):
    assert find_model("mine.py:Net(7, bias=False)").model.inner.weight.shape == (7, 3)
    assert find_model("mine.py:make(width=5)").model.inner.bias.shape == (5,)
    with pytest.raises(ValueError, match=r"cannot be made: TypeError.*'depth'"):
        find_model("mine.py:Net(depth=5)")
    for call in ("Net(", "Net(open('x'))", "Net(1)(2)", "Net(1) + 2", "Net(*[1])"):
        with pytest.raises(ValueError, match="arguments must be numbers, texts"):
            find_model(f"mine.py:{call}")


@pytest.mark.parametrize("kind", ["export", "script", "trace"])
def test_programs_are_models(code, kind):
    net = find_model("mine.py:Net").model.eval()
    example = torch.rand(2, 9, 3)
    path = code / ("net.pt2" if kind == "export" else "net.pt")
    if kind == "export":
        batch = torch.export.Dim("batch", min=1)
        torch.export.save(torch.export.export(net, (example,), dynamic_shapes=({0: batch},)), path)
    else:
        made = torch.jit.script(net) if kind == "script" else torch.jit.trace(net, example)
        torch.jit.save(made, path)
    found = Predictor(find_model(str(path)).model, torch.rand(5, 9, 3), layout="BN3")
    points = torch.rand(5, 9, 3)
    torch.testing.assert_close(found(points), net(points).detach())
    with pytest.raises(ValueError, match="brings its own weights"):
        find_model(str(path), path)
    (code / "cut.pt2").write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"cut.pt2 is no program of torch.export"):
        find_model(str(code / "cut.pt2"))


class Executed:
    def __reduce__(self):
        return print, ("executed",)


def test_no_program_brings_a_pickle_in(tmp_path, capsys):
    torch.save({"a": Executed()}, tmp_path / "evil.pt")
    with _tensors_alone(), pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "evil.pt", weights_only=False)
    assert capsys.readouterr().out == ""


@dataclass
class Output:
    loss: Tensor | None
    logits: Tensor


OUTPUTS = {
    "tuple": lambda y: (y, None),
    "nested": lambda y: ([y, y], 3),
    "one entry": lambda y: {"anything": y},
    "named": lambda y: {"aux": y + 1, "logits": y},
    "dataclass": lambda y: Output(None, y),
    "features": lambda y: {"points": y[:, None], "features": (y, 0)},
}


@pytest.mark.parametrize("kind", list(OUTPUTS))
def test_outputs_come_in_many_wrappings(kind):
    predictor = Predictor(lambda x: OUTPUTS[kind](x.mean(dim=1)), torch.rand(3, 8, 3))
    points = torch.rand(4, 8, 3)
    torch.testing.assert_close(predictor(points), points.mean(dim=1))


def test_outputs_that_nothing_names_are_refused():
    for answer in ({"a": torch.ones(3, 2), "b": torch.ones(3, 2)}, SimpleNamespace(), {}):
        with pytest.raises(ValueError, match=r"must return a tensor .* or name it logits, pred"):
            Predictor(lambda _, answer=answer: answer, torch.rand(3, 8, 3))


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["rotation", "corruption", "linear"])
def test_a_random_model_is_said_to_be_one(noise, kind):
    points, labels = torch.rand(12, 64, 3), torch.arange(12) % 2

    def model(clouds):
        own = clouds.norm(dim=2).quantile(torch.tensor([0.2, 0.8]), dim=1).T
        return own * (1 + noise * torch.randn_like(own))

    few = Rotations(rounds=2, tilts=2)
    if kind == "rotation":
        report = rotation(model, points, labels, trained="z", rotations=few)
    elif kind == "corruption":
        report = corruption(model, points.repeat(1, 16, 1), labels)
    else:
        probes = Probes(landmarks=0, components=0, label_fractions=(), neighbors=2)
        train = (points + 0.01, labels)
        report = linear(model, points, labels, train=train, rotations=few, probes=probes)
    own = report.settings["own_change"]
    assert own == 0 if noise == 0 else 0.03 < own < 0.4
    told = [note for note in view_of(report).notes() if "asked twice about the same" in note]
    assert len(told) == (noise > 0)
    if told:
        assert f"{100 * own:.3g} %" in told[0]
