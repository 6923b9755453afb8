"""Cards and weights that were changed in any way are refused in one sentence, and nothing else."""

import hashlib
import json
import random

import pytest
import torch
from safetensors.torch import save

from pcclust.cli.main import main
from pcclust.nn import DGCNN, Classifier
from pcclust.nn.weights import load, save_weights

SETTINGS = {"k": 5, "channels": [8, 8], "embedding": 8}
CARD = {"model": "dgcnn", "model_kwargs": SETTINGS, "class_names": ["a", "b"], "num_points": 32}
ODD = [
    None, True, -1, 0, 10**30, float("nan"), float("inf"), "", "x" * 10_000, [], {}, [[[]]],
    [None], {"a": [1]}, "\u202e\x1b[31m", [10**9] * 3, {"k": 10**18}, {"k": -5}, {"channels": "no"},
    {"embedding": 10**11}, {"embedding": float("nan")}, {"channels": [10**9]}, {"self": 1},
    {"channels": [[8]]}, {"negative_slope": {}}, ["a"], ["a"] * 9, "DGCNN", "../dgcnn", "a.py:B",
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    torch.manual_seed(0)
    weights, card = save_weights(folder, Classifier(DGCNN(**SETTINGS), 2).eval(), CARD)
    load(folder)
    return weights.read_bytes(), json.loads(card.read_text())


def changed_card(card, draw):
    """Returns a card with one entry changed, left out or added, as bytes."""
    card, key = dict(card), draw.choice([*card, "task", "head", "extra"])
    kind = draw.randrange(4)
    if kind == 0:
        card.pop(key, None)
    else:
        card[key] = draw.choice(ODD)
    text = json.dumps(card)
    if kind == 1 and draw.random() < 0.3:
        text = text[: draw.randrange(len(text))]
    return text.encode()


def changed_weights(content, draw):
    """Returns bytes of another file of the same tensors, or of none."""
    kind = draw.randrange(4)
    if kind == 0:
        return content[: draw.randrange(len(content))]
    if kind == 1:  # another length of the header, which is JSON
        return draw.randbytes(8) + content[8:]
    if kind == 2:
        at = draw.randrange(8, 400)
        return content[:at] + draw.randbytes(draw.randrange(1, 9)) + content[at:]
    tensor = draw.choice(
        [torch.full((8, 6), torch.nan), torch.zeros(8, 6, dtype=torch.int64), torch.zeros(3)]
    )
    return save({"backbone.edge_convs.0.linear.weight": tensor})


def put(folder, content, card):
    folder.mkdir(exist_ok=True)
    (folder / "weights.safetensors").write_bytes(content)
    (folder / "weights.json").write_bytes(card)


def refused(folder):
    """Returns the sentence with which weights are refused, or None; another error is a fault."""
    try:
        load(folder)
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    return None


@pytest.mark.parametrize("seed", range(150))
def test_a_changed_card_is_refused_in_a_sentence_or_does_not_matter(whole, tmp_path, seed):
    content, card = whole
    put(tmp_path, content, changed_card(card, random.Random(seed)))
    refusal = refused(tmp_path)
    assert refusal is None or str(tmp_path) in refusal
    assert len(refusal or "") < 1500
    assert "\n" not in (refusal or "")


@pytest.mark.parametrize("seed", range(60))
def test_changed_weights_that_their_card_vouches_for_are_refused(whole, tmp_path, seed):
    content, card = whole
    changed = changed_weights(content, random.Random(seed))
    sums = {"size": len(changed), "sha256": hashlib.sha256(changed).hexdigest()}
    put(tmp_path, changed, json.dumps(card | sums).encode())
    with pytest.raises(ValueError, match=r"weights.safetensors (is not a|does not|hold)"):
        load(tmp_path)


def test_weights_that_are_no_numbers_are_named(whole, tmp_path):
    torch.manual_seed(0)
    model = Classifier(DGCNN(**SETTINGS), 2)
    with torch.no_grad():
        model.backbone.edge_convs[0].linear.weight[0, 0] = torch.nan
    save_weights(tmp_path, model, CARD)
    with pytest.raises(ValueError, match=r"holds NaN or inf in backbone.edge_convs.0"):
        load(tmp_path)


def test_a_card_that_is_no_end_of_lists_is_refused(whole, tmp_path):
    put(tmp_path, whole[0], b"[" * 200_000)
    with pytest.raises(ValueError, match=r"weights.json is not JSON"):
        load(tmp_path)


@pytest.mark.parametrize("seed", range(4))
def test_the_command_ends_in_one_line(whole, tmp_path, capsys, seed):
    content, card = whole
    changes = [
        {"model_kwargs": []},
        {"model": 5},
        {"class_names": [1]},
        {"model_kwargs": {"k": "five"}},
    ]
    put(tmp_path, content, json.dumps(card | changes[seed]).encode())
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "rotation", str(tmp_path), "--data", str(tmp_path)])
    assert stopped.value.code == 1
    assert "Traceback" not in capsys.readouterr().err
