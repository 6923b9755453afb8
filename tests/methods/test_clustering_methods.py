"""What every deep-clustering method must do: find three families, and survive being killed."""

from typing import NamedTuple

import pytest

import pcclust
from pcclust.cluster.metrics import clustering_accuracy
from pcclust.methods import find_recipe
from pcclust.methods.pipeline import Pipeline
from tests.methods.families import POINTS, families, write_families
from tests.methods.resumption import check_same_bits_after_kills

# Sees no pose, and is as small as three families need.
CLUSTERNET = {
    "model": "clusternet",
    "model_kwargs": {
        "num_clusters": [16, 4],
        "neighbors": [8, 4, 1],
        "channels": [[16], [32], [32]],
        "embedding": 32,
    },
}
DGCNN = {"model": "dgcnn", "model_kwargs": {"k": 4, "channels": [8], "embedding": 16}}


class Case(NamedTuple):
    """A method, and settings of its stages: to find families, and to be killed.

    ``main`` is the stage whose settings stand at the top, None where there is a single one.
    """

    name: str
    finds: dict
    killed: dict
    main: str | None = None


AUTO_ENCODER = {"epochs": 40, "batch_size": 12, "decoded_points": 64, "learning_rate": 3e-3}
TINY_STAGE = {"epochs": 2, "batch_size": 6}
CASES = [
    Case("cc", {"epochs": 8}, {"projection": 8}),
    Case(
        "dec",
        {"dec": {"epochs": 10, "batch_size": 24}, "autoencoder": AUTO_ENCODER},
        {"dec": {"tolerance": 0.0}, "autoencoder": TINY_STAGE | {"decoded_points": 16}},
        "dec",
    ),
    Case("htcn", {"epochs": 14}, {"hidden": 16, "projection": 8}),
    Case("pica", {"epochs": 8}, {}),
    Case(
        "scan",
        {
            "pretext": {"epochs": 6, "batch_size": 24, "max_scale": 1.1},
            "scan": {"epochs": 8, "batch_size": 24, "learning_rate": 1e-3},
            "self_label": {"epochs": 4, "batch_size": 24, "max_scale": 1.1, "threshold": 0.8},
        },
        {"pretext": TINY_STAGE | {"projection": 8}, "self_label": TINY_STAGE, "scan": {}},
        "scan",
    ),
    Case(
        "spice",
        {"spice": {"epochs": 20, "heads": 3}, "semi": {"epochs": 2, "max_scale": 1.1}},
        {"spice": {"heads": 2, "strong_views": 1, "repeats": 2}, "semi": {"epochs": 0}},
        "spice",
    ),
    Case(
        "temi",
        # Few steps need teachers that follow fast.
        {
            "epochs": 60,
            "heads": 3,
            "neighbors": 10,
            "batch_size": 60,
            "least_steps": 600,
            "momentum": 0.98,
            "hidden": 512,
            "bottleneck": 256,
        },
        {"heads": 2, "least_steps": 0},
    ),
    Case(
        "vade",
        {"vade": {"epochs": 15}, "autoencoder": AUTO_ENCODER},
        {"vade": {}, "autoencoder": TINY_STAGE | {"decoded_points": 16}},
        "vade",
    ),
]
ON_FEATURES = ("spice", "temi")  # they begin with an encoder


def settings_of(case, own, common):
    """Returns the settings of all stages, with what is common at the top."""
    if case.main is None:
        return common | own
    return own | {case.main: common | own[case.main]}


def train_encoder(path, file, **settings):
    """Trains SimCLR for methods that learn on features, and returns where it is."""
    recipe = find_recipe("simclr")
    Pipeline(recipe, recipe.preset(dataset=str(file), **settings), path).run()
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_finds_three_families_in_any_orientation(case, tmp_path):
    file = write_families(tmp_path / "shapes.h5")
    recipe = find_recipe(case.name)
    common = {"dataset": str(file), "num_clusters": 3, "num_points": POINTS}
    common |= {"batch_size": 12, "max_scale": 1.1} | CLUSTERNET
    if case.name in ON_FEATURES:
        pretext = {"num_points": POINTS, "epochs": 8, "batch_size": 24, "max_scale": 1.1}
        common["init"] = train_encoder(tmp_path / "simclr", file, **pretext, **CLUSTERNET)
    config = recipe.preset(**settings_of(case, case.finds, common))
    assert Pipeline(recipe, config, tmp_path / "run").run().complete
    model = pcclust.load(tmp_path / "run")
    for seed in (0, 1):  # those it was trained on, and others
        points, labels = families(seed=seed)
        assert clustering_accuracy(labels, model.assign(points).argmax(dim=1)) >= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_and_resumed_it_has_the_same_bits(case, tmp_path):
    file = write_families(tmp_path / "shapes.h5", 24, num_points=32)
    common = {"dataset": str(file), "num_clusters": 3, "num_points": 32, "epochs": 4}
    common |= {"batch_size": 6, "workers": 1} | DGCNN
    if case.name in ON_FEATURES:
        tiny = {"num_points": 32, "epochs": 1, "batch_size": 6, "projection": 8}
        common["init"] = train_encoder(tmp_path / "simclr", file, **tiny, **DGCNN)
    settings = settings_of(case, case.killed, common)
    check_same_bits_after_kills(case.name, settings, tmp_path, main=case.main)
