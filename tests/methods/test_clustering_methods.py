"""What every deep-clustering method must do: find three families, and survive being killed."""

from typing import NamedTuple

import pytest

import pcclust
from pcclust.cluster.metrics import clustering_accuracy
from pcclust.methods import find_recipe
from pcclust.methods.stages import Pipeline
from tests.methods.families import POINTS, families, write_families
from tests.methods.resumption import check_same_bits_after_kills

# Sees no pose, and is as small as three families need.
CLUSTERNET = {
    "model": "clusternet",
    "settings": {
        "num_clusters": [16, 4],
        "neighbors": [8, 4, 1],
        "channels": [[16], [32], [32]],
        "embedding": 32,
    },
}
DGCNN = {"model": "dgcnn", "settings": {"k": 4, "channels": [8], "embedding": 16}}


class Case(NamedTuple):
    """A method, and settings beside those of all: to find families, and to be killed."""

    name: str
    finds: dict
    killed: dict


CASES = [
    Case("cc", {"epochs": 8}, {"projection": 8}),
    Case("htcn", {"epochs": 14}, {"hidden": 16, "projection": 8}),
    Case("pica", {"epochs": 8}, {}),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_finds_three_families_in_any_orientation(case, tmp_path):
    file = write_families(tmp_path / "shapes.h5")
    recipe = find_recipe(case.name)
    settings = {"batch_size": 12, "max_scale": 1.1, "num_points": POINTS} | CLUSTERNET | case.finds
    config = recipe.preset(dataset=str(file), num_clusters=3, **settings)
    assert Pipeline(recipe, config, tmp_path / "run").run().complete
    model = pcclust.load(tmp_path / "run")
    for seed in (0, 1):  # those it was trained on, and others
        points, labels = families(seed=seed)
        assert clustering_accuracy(labels, model.assign(points).argmax(dim=1)) >= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_and_resumed_it_has_the_same_bits(case, tmp_path):
    file = write_families(tmp_path / "shapes.h5", 24, num_points=32)
    tiny = {"dataset": str(file), "num_clusters": 3, "num_points": 32, "epochs": 4}
    tiny |= {"batch_size": 6, "workers": 1} | DGCNN | case.killed
    check_same_bits_after_kills(case.name, tiny, tmp_path)
