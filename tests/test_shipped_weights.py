"""The weights that come with pcclust: whole, small, described, and fit for what they are for."""

import hashlib
import re

import pytest
import torch

import pcclust
from benchmarks.ship_weights import DATA_FIELDS, FIELDS, MOST_BYTES, MOST_CHANGE
from pcclust.data import open_dataset
from pcclust.data.transforms import RotateSO3
from pcclust.demo.clusters import WEIGHTS
from pcclust.demo.shapes import BUNDLED
from pcclust.nn.weights import REQUIRED, read_card
from pcclust.nn.weights_source import SHIPPED, shipped_names

# Never an empty list, with which pytest would skip: without files the demo's name fails.
NAMES = shipped_names() or [WEIGHTS]


def test_the_weights_of_the_demo_are_there():
    assert WEIGHTS in shipped_names(), (
        f"{SHIPPED} has {shipped_names()}: make the missing file from a finished run by "
        f"python -m benchmarks.ship_weights RUN --name {WEIGHTS}"
    )


def test_every_file_belongs_to_weights():
    files = {path.name for path in SHIPPED.iterdir()} - {"README.md"}
    assert files == {f"{name}.{kind}" for name in NAMES for kind in ("safetensors", "json")}


@pytest.mark.parametrize("name", NAMES)
def test_files_are_small_whole_and_described(name):
    content = (SHIPPED / f"{name}.safetensors").read_bytes()
    card = read_card(name)
    assert len(content) <= MOST_BYTES
    assert hashlib.sha256(content).hexdigest() == card["sha256"]
    assert [field for field in (*REQUIRED, *FIELDS) if field not in card] == []
    assert [field for field in DATA_FIELDS if not card["data"].get(field)] == []
    assert card["name"] == name
    assert card["licence"] == "Apache-2.0"
    assert card["rounding_error"] < MOST_CHANGE
    named = [part["weights"] for part in card["model_kwargs"].get("parts", []) if "weights" in part]
    stored = [read_card(each)["stored_as"] for each in (name, *named)]
    assert sum(sum(kinds.values()) for kinds in stored) >= card["parameters"]
    assert not re.search(r'"(/|[A-Z]:\\)\w', (SHIPPED / f"{name}.json").read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_they_tell_shapes_apart_in_any_orientation(name):
    model = pcclust.load(name)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    points = open_dataset(str(BUNDLED / "furniture.h5")).points[::40]
    turned = RotateSO3()(points, torch.Generator().manual_seed(0))
    upright, after = model(points), model(turned)
    assert upright.isfinite().all()
    apart = torch.cdist(upright, after)
    assert (apart.argmin(dim=1) == torch.arange(len(points))).all()
    changes = (after - upright).norm(dim=1) / upright.norm(dim=1)
    assert changes.median() < 1e-3
