import pytest
import torch
from torch import nn

from pcclust.methods._backbone import check_backbone
from pcclust.nn import RRIStatistics, backbones, create_backbone
from pcclust.nn.backbones import register_backbone
from pcclust.nn.weights import load, save_weights

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.out_channels = width
        self.layer = nn.Linear(3, width)

    def forward(self, points, lengths=None):
        return self.layer(points).amax(dim=1)

number = 3
"""


@pytest.fixture
def source(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(NET)
    registered = dict(backbones._registered)
    monkeypatch.setattr(backbones, "_registered", registered)
    monkeypatch.setattr(backbones, "BACKBONES", registered)
    return f"{tmp_path / 'mine.py'}:Net"


def test_a_class_of_the_users_is_a_backbone(source):
    net = create_backbone(source, width=6)
    assert net(torch.rand(2, 9, 3)).shape == (2, 6)
    check_backbone(source, {"width": 6})
    with pytest.raises(ValueError, match="has no setting 'widht'; did you mean 'width'"):
        check_backbone(source, {"widht": 6})


def test_what_is_no_backbone_is_refused(source):
    with pytest.raises(ValueError, match="is no class of"):
        create_backbone(source.replace(":Net", ":number"))
    with pytest.raises(ValueError, match=r"mine.py has no Nett; it has nn, Net, number"):
        create_backbone(source + "t")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        create_backbone("none.py:Net")


def test_weights_execute_no_code_that_was_not_allowed(source, tmp_path, monkeypatch):
    net = create_backbone(source)
    save_weights(tmp_path, net, {"model": source, "model_kwargs": {}, "class_names": []})
    points = torch.rand(2, 9, 3)
    assert torch.equal(load(tmp_path)(points), net(points))  # this process knows it
    backbones._registered.pop(source)
    with pytest.raises(ValueError, match=r"weights does not execute; .* export PCCLUST_BACKBONES="):
        load(tmp_path)
    monkeypatch.setenv("PCCLUST_BACKBONES", f"other.py:A,{source}")
    assert torch.equal(load(tmp_path)(points), net(points))


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("feature-stack", lambda name: {"parts": ["rri-statistics", name]}),
        ("feature-stack", lambda name: {"parts": [{"model": name, "model_kwargs": {}}]}),
        ("canonical-pose", lambda name: {"backbone": name}),
        ("canonical-pose", lambda name: {"backbone": f"{name}/x"}),
        ("canonical-pose", lambda name: {"backbone": "x", "model_kwargs": {"backbone": name}}),
    ],
)  # fmt: skip
def test_nor_code_that_a_setting_names(tmp_path, model, settings):
    file, trace = tmp_path / "theirs.py", tmp_path / "executed"
    file.write_text(f"open({str(trace)!r}, 'w').close()\n{NET}")
    card = {"model": model, "model_kwargs": settings(f"{file}:Net"), "class_names": []}
    save_weights(tmp_path, RRIStatistics(), card)
    with pytest.raises(ValueError, match=r"theirs.py:Net\S* is code of a user's, which loading"):
        load(tmp_path)
    assert not trace.exists()


def test_a_name_is_given_once(source):
    class Other(nn.Module):
        pass

    with pytest.raises(ValueError, match="there is a backbone 'dgcnn' already"):
        register_backbone("dgcnn")(Other)
    assert register_backbone("other")(register_backbone("other")(Other)) is Other
