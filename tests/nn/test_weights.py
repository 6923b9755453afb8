import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import pcclust
from pcclust.nn import Classifier, ClusterNet, backbones
from pcclust.nn.weights import load, read_card, save_weights

CARD = {"model": "tiny", "model_kwargs": {"width": 5}, "class_names": ["cup", "bowl", "jug"]}


class Tiny(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.out_channels = width
        self.layer = nn.Linear(3, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, points, *, lengths=None):
        return self.norm(self.layer(points).amax(dim=1))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(backbones, "BACKBONES", {"tiny": Tiny})


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = Classifier(Tiny(5), 3)
    model(torch.rand(4, 10, 3))  # moves the running statistics
    return model


def change_card(folder, **changes):
    card = json.loads((folder / "weights.json").read_text()) | changes
    (folder / "weights.json").write_text(json.dumps(card))


def test_a_card_of_an_older_version_is_read_by_todays_names(model, tmp_path):
    _, path = save_weights(tmp_path, model, CARD)
    card = json.loads(path.read_text())
    path.write_text(json.dumps(card | {"settings": card.pop("model_kwargs")}))
    loaded = load(tmp_path)
    assert loaded.card["model_kwargs"] == CARD["model_kwargs"]
    assert "settings" not in loaded.card


@pytest.mark.parametrize("name", ["", "mine.safetensors"])
def test_a_classifier_comes_back_with_its_card(model, tmp_path, name):
    weights, card = save_weights(tmp_path / name, model, CARD | {"seed": 7})
    assert sorted(tmp_path.iterdir()) == sorted([weights, card])
    for loaded in (load(tmp_path / name), pcclust.load(str(weights))):
        assert not any(module.training for module in loaded.modules())
        assert loaded.card["seed"] == 7
        assert loaded.card["class_names"] == ["cup", "bowl", "jug"]
        assert loaded.card["pcclust_version"] == pcclust.__version__
        for name, value in model.state_dict().items():
            assert torch.equal(value, loaded.state_dict()[name]), name
    assert read_card(weights) == loaded.card


def test_a_backbone_alone_comes_back(tmp_path):
    backbone = Tiny(5).eval()
    save_weights(tmp_path, backbone, CARD | {"class_names": []})
    loaded, points = load(tmp_path), torch.rand(2, 6, 3)
    assert isinstance(loaded, Tiny)
    assert torch.equal(loaded(points), backbone(points))


def test_a_sentence_about_a_card_has_an_end(model, tmp_path):
    weights, path = save_weights(tmp_path, model, CARD)
    card = json.loads(path.read_text())
    for key, value in (
        ("model", "x" * 10_000),
        ("pcclust_version", "0" * 10_000),
        ("model_kwargs", {"k" * 10_000: 1}),
    ):
        path.write_text(json.dumps(card | {"model_kwargs": {"no": 1}} | {key: value}))
        with pytest.raises(ValueError, match="cannot be built") as error:
            load(weights)
        assert len(str(error.value)) < 1500 + len(str(weights))


def test_a_damaged_file_is_named(model, tmp_path):
    weights, card = save_weights(tmp_path, model, CARD)
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    with pytest.raises(ValueError, match=r"weights.safetensors is cut short: [\d,]+ bytes where"):
        load(tmp_path)
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"damaged or not the file of its card: SHA-256"):
        load(tmp_path)
    weights.write_bytes(whole)
    card.write_text(card.read_text()[:50])
    with pytest.raises(ValueError, match=r"weights.json is not JSON"):
        load(tmp_path)
    card.write_text("{}")
    with pytest.raises(ValueError, match=r'lacks "format": "pcclust weights"'):
        load(tmp_path)
    card.unlink()
    with pytest.raises(FileNotFoundError, match=r"has no card weights.json beside it"):
        load(tmp_path)


def test_what_does_not_fit_this_version_says_which_version_it_fits(model, tmp_path):
    save_weights(tmp_path, model, CARD)
    change_card(tmp_path, model="huge", pcclust_version="9.1")
    with pytest.raises(ValueError, match=r"'huge' is none of tiny.*written by pcclust 9.1"):
        load(tmp_path)
    change_card(tmp_path, model="tiny", model_kwargs={"depth": 2}, pcclust_version="9.1")
    with pytest.raises(ValueError, match=r"'depth'.*written by pcclust 9.1 and this is"):
        load(tmp_path)
    change_card(tmp_path, model_kwargs={"width": 6})
    with pytest.raises(ValueError, match=r"does not fit tiny: \S+ is \(\S+.*\), the model has \("):
        load(tmp_path)
    change_card(tmp_path, model_kwargs={"width": 5}, class_names=[])
    with pytest.raises(ValueError, match=r"backbone.layer.bias is \(5,\), the model has layer"):
        load(tmp_path)


def test_matrices_are_stored_in_half_the_size_and_come_back_as_float32(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(Tiny(5), nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False))
    with torch.no_grad():
        model[0].norm.running_var.copy_(torch.tensor([1e-9, 1e-3, 1.0, 1e3, 1e9]))
        model[0].norm.running_mean.fill_(1 / 3)
        model[0].layer.bias.fill_(1e-9)
        model[2].weight[0, 0] = 1e6  # beyond float16
    plain, _ = save_weights(tmp_path / "plain.safetensors", model, CARD)
    small, card = save_weights(tmp_path / "small.safetensors", model, CARD, dtype=torch.float16)
    matrices = {"0.layer.weight", "1.weight"}
    loaded = load_file(small)
    for name, value in model.state_dict().items():
        if name in matrices:
            assert torch.equal(loaded[name], value.half()), name
        else:
            assert torch.equal(loaded[name], value), name
    counts = json.loads(card.read_text())["stored_as"]
    assert counts == {"float16": 15 + 25, "float32": 5 + 4 * 5 + 25, "int64": 1}
    assert plain.stat().st_size - small.stat().st_size > 2 * 35


def test_halved_weights_of_clusternet_give_the_same_features(tmp_path, monkeypatch):
    monkeypatch.undo()
    torch.manual_seed(0)
    model, points = ClusterNet(), torch.rand(4, 256, 3) - 0.5
    model(points)  # moves the running statistics
    card = CARD | {"model": "clusternet", "model_kwargs": {}, "class_names": []}
    weights, _ = save_weights(tmp_path, model.eval(), card, dtype=torch.float16)
    assert weights.stat().st_size < 8_000_000
    loaded = load(tmp_path)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    with torch.no_grad():
        expected, found = model(points), loaded(points)
    assert not torch.equal(found, expected)
    assert (found - expected).norm() < 1e-2 * expected.norm()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".PKL", ".ckpt", ".bin"])
def test_a_pickle_is_refused_unread(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(ValueError, match=r"is a pickle, and pcclust loads only safetensors: where"):
        load(path)
    (tmp_path / "config.yaml").touch()
    with pytest.raises(ValueError, match=r"to use the weights of this run give its folder"):
        load(path)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there are no weights .*nowhere; give the folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"holds no weights; expected .*weights.safe"):
        load(tmp_path)
    (tmp_path / "config.yaml").touch()
    with pytest.raises(FileNotFoundError, match=r"a run without weights: its first epoch"):
        load(tmp_path)
    with pytest.raises(ValueError, match=r"lacks model_kwargs, class_names"):
        save_weights(tmp_path, Tiny(), {"model": "tiny"})


def test_a_failed_write_keeps_what_was_there(model, tmp_path, monkeypatch):
    save_weights(tmp_path, model, CARD)
    before = load(tmp_path).state_dict()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device\); what was there before is kept"):
        save_weights(tmp_path, Classifier(Tiny(5), 3), CARD)
    assert len(list(tmp_path.iterdir())) == 2
    assert all(
        torch.equal(value, before[name]) for name, value in load(tmp_path).state_dict().items()
    )


def test_the_extras_are_not_imported_before_they_are_used():
    heavy = ["accelerate", "yaml", "huggingface_hub", "sklearn", "tensorboard"]
    code = f"import sys, pcclust; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
