"""The part `cards`: changed weights and cards are refused in one sentence, or do not matter."""

import hashlib
import json
import random
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch

from pcclust.nn import DGCNN, Classifier
from pcclust.nn.weights import load, save_weights
from tests.fuzz.children import make_trials, run_children
from tests.fuzz.figures import Figures
from tests.nn.test_weights_fuzz import CARD, SETTINGS, changed_card, changed_weights, put

CALLS_PER_CARD = 40


def run(seed: int, amount: int) -> Figures:
    figures = run_children("tests.fuzz.cards", seed, seed + amount // CALLS_PER_CARD)
    figures.more = "two of three by the card, else by weights that the card vouches for"
    return figures


@cache
def whole() -> tuple[bytes, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        weights, card = save_weights(folder, Classifier(DGCNN(**SETTINGS), 2).eval(), CARD)
        return weights.read_bytes(), json.loads(card.read_text())


def trial(number: int) -> str | None:
    draw, (content, card) = random.Random(number), whole()
    vouched = number % 3 == 0
    with tempfile.TemporaryDirectory() as name:
        if vouched:
            content = changed_weights(content, draw)
            sums = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            put(Path(name), content, json.dumps(card | sums).encode())
        else:
            put(Path(name), content, changed_card(card, draw))
        return _judged(name, vouched)


def _judged(folder: str, vouched: bool) -> str | None:
    try:
        load(folder)
    except (ValueError, FileNotFoundError) as error:
        said = str(error)
        fits = folder in said and "\n" not in said and len(said) < 1500
        return None if fits else f"no sentence that names the file: {said[:300]}"
    except BaseException as error:  # whatever it is, it should not have come
        return f"{type(error).__name__}: {error}"
    return "changed weights are taken" if vouched else None


if __name__ == "__main__":
    make_trials(trial)
