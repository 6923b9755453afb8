"""The command that makes the weights that come with pcclust, on a run of seconds."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import pcclust
from benchmarks import ship_weights
from benchmarks.ship_weights import DATA_FIELDS, FIELDS, Settings, ship, summary
from pcclust.evaluate import Rotations, clustering, rotation
from pcclust.methods.contrastnet_presets import RECIPE
from pcclust.methods.pipeline import Pipeline
from pcclust.nn import weights_source
from tests.methods.test_classification import CLUSTERS, shapes, write
from tests.methods.tiny_pipeline import tiny_config

NAME = "clusternet-contrastnet-balls"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run; its data are named without their folder."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PCCLUST_CACHE", str(folder / "cache"))
        file = write(Path("balls.h5"))
        config = tiny_config(file, CLUSTERS, CLUSTERS, rounds=1, l2=False)
        assert Pipeline(RECIPE, config, "run").run().complete
    return folder / "run"


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory):
    """What a rotation test and a clustering wrote."""
    folder = tmp_path_factory.mktemp("evaluations")
    points, labels = shapes(12, 1)
    turned = rotation(
        lambda clouds: torch.nn.functional.one_hot(clouds.std(dim=1).argmax(dim=1), 3).float(),
        points,
        labels,
        rotations=Rotations(2, tilts=0),
        up_axis="z",
        about={"data": "balls, test", "command": "pcclust evaluate /home/me/run"},
    )
    features = np.random.default_rng(0).normal(size=(12, 3))
    clusters = clustering(features, labels, seeds=2, about={"data": "balls, upright"})
    (folder / "rotation.json").write_text(turned.to_json())
    (folder / "report.json").write_text(clusters.to_json())
    return folder / "rotation.json", folder / "report.json", turned, clusters


def settings(run, out, **changes):
    return Settings(run, **{"name": NAME, "terms": "anybody's", "out": out} | changes)


def test_the_encoder_is_shipped_with_all_that_is_known_of_it(
    run, evaluations, tmp_path, monkeypatch
):
    evaluation = evaluations[:2]
    weights, card = ship(
        settings(run, tmp_path, evaluation=evaluation, command="pcclust pretrain contrastnet …")
    )
    assert sorted(tmp_path.iterdir()) == sorted([weights, card])
    monkeypatch.setattr(weights_source, "SHIPPED", tmp_path)
    model, original = pcclust.load(NAME), pcclust.load(run)
    told = model.card
    assert [field for field in FIELDS if field not in told] == []
    assert [field for field in DATA_FIELDS if field not in told["data"]] == []
    assert told["data"]["terms"] == "anybody's"
    assert told["method"] == "contrastnet"
    assert told["seed"] == told["pipeline"]["contrastnet"]["seed"] == 0
    assert original.card["seed"] == 1  # of its last stage
    assert told["parameters"] == sum(p.numel() for p in model.parameters())
    assert 0 < told["rounding_error"] < 1e-2
    matrices = {name for name, parameter in model.named_parameters() if parameter.dim() > 1}
    stored = load_file(weights)
    assert {name for name, value in stored.items() if value.dtype == torch.float16} == matrices
    points = torch.from_numpy(shapes(6, 2)[0])
    with torch.no_grad():
        torch.testing.assert_close(model(points), original(points), rtol=1e-2, atol=1e-2)
    (tmp_path / "again").mkdir()
    again = ship(settings(run, tmp_path / "again", evaluation=evaluation))[0]
    assert again.read_bytes() == weights.read_bytes()


def test_the_numbers_of_evaluations_are_those_of_their_reports(evaluations):
    turned, clustered = map(summary, evaluations[:2])
    report, clusters = evaluations[2:]
    assert (turned["kind"], turned["data"]) == ("rotation", "balls, test")
    found = report.under("SO3")
    assert turned["measures"]["SO3"]["accuracy"] == pytest.approx(found.mean, abs=1e-6)
    assert "rounds" not in turned["measures"]["SO3"]
    assert (clustered["kind"], clustered["data"]) == ("clustering", "balls, upright")
    mean, std = clusters.methods[0].mean_and_deviation("nmi")
    told = clustered["measures"]["kmeans"]["measures"]["nmi"]
    assert told == pytest.approx({"mean": mean, "std": std}, abs=1e-6)
    assert "/home" not in json.dumps([turned, clustered])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "clusternet-contrastnet-cups"}, "must say model, method and data: clusternet-M"),
        ({"name": "Mine"}, "must say model, method and data"),
        ({"terms": None}, "say by --terms under which terms balls.h5 may be used"),
        ({"command": "pretrain /home/me/x.h5"}, "names /home/me/x.h5, which nobody else has"),
        ({"run": "contrastnet"}, "contrastnet is no finished run of pcclust pretrain"),
        ({"evaluation": "config.yaml"}, "config.yaml is no report of pcclust evaluate or cluster"),
        ({"evaluation": "weights.json"}, "weights.json is no report of pcclust evaluate or"),
    ],
)
def test_what_must_not_be_shipped_is_refused(run, tmp_path, changes, message):
    stage = run / "contrastnet"
    if "evaluation" in changes:
        changes = {"evaluation": (stage / changes["evaluation"],)}
    source = run / changes["run"] if "run" in changes else run
    changes = {name: value for name, value in changes.items() if name != "run"}
    with pytest.raises(ValueError, match=message):
        ship(settings(source, tmp_path, **changes))
    assert list(tmp_path.iterdir()) == []


def test_large_files_and_changed_features_are_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(ship_weights, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match=r"bytes of weights exceed 1,000: train a smaller model"):
        ship(settings(run, tmp_path))
    monkeypatch.setattr(ship_weights, "MOST_BYTES", 8_000_000)
    monkeypatch.setattr(ship_weights, "MOST_CHANGE", 1e-9)
    with pytest.raises(ValueError, match=r"float16 weights change features by .* of their length"):
        ship(settings(run, tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_name_may_be_of_a_part_of_the_model(tmp_path):
    parts = [{"model": "canonical-pose", "model_kwargs": {"backbone": "pointnet"}}]
    card = {"model": "feature-stack", "model_kwargs": {"parts": parts}, "data": {"dataset": "cups"}}
    for model in ("feature-stack", "canonical-pose", "pointnet"):
        ship_weights._check_name(f"{model}-pcl-cups", card)
    with pytest.raises(ValueError, match="canonical-pose or feature-stack or pointnet-METHOD-cups"):
        ship_weights._check_name("dgcnn-pcl-cups", card)


def test_it_is_a_command(run, tmp_path, evaluations):
    reports = list(map(str, evaluations[:2]))
    command = ["-m", "benchmarks.ship_weights", str(run), "--name", NAME, "--terms", "anybody's"]
    done = subprocess.run(
        [sys.executable, *command, "--out", str(tmp_path), "--evaluation", *reports],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / f"{NAME}.json").read_text())
    assert len(card["evaluations"]) == 2
    assert f"{NAME}.safetensors" in done.stdout
