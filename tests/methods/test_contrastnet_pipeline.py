import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

import pcclust
from pcclust.cluster import (
    ClusterCollapseWarning,
    PCAWhitening,
    normalized_mutual_information,
    unit_length,
)
from pcclust.data.hdf5_writer import write_hdf5
from pcclust.data.transforms import UnitSphere
from pcclust.methods import contrastnet_pipeline
from pcclust.methods._backbone import create_seeded
from pcclust.methods.contrastnet_presets import RECIPE
from pcclust.methods.pipeline import Pipeline
from pcclust.methods.pseudo_label_file import labels_key, read_labels
from pcclust.nn.rri_statistics import rri_statistics
from pcclust.training import Callback
from tests.methods.test_classification import CLUSTERS, shapes, write
from tests.methods.tiny_pipeline import ENCODER, tiny_config

FILES = (
    "contrastnet/weights.safetensors",
    "round1/pseudo_labels.npz",
    "round1/network/weights.safetensors",
    "round2/pseudo_labels.npz",
    "round2/network/weights.safetensors",
    "weights.safetensors",
)


class Told(Callback):
    """What is done, not what is skipped."""

    def __init__(self):
        self.steps, self.features = [], 0

    def preparing(self, what, done, total):
        self.features += done == total

    def started(self, method, position):
        self.method = method.config.method

    def stepped(self, step):
        self.steps.append(self.method)


def run(file, out, minutes=None, resume=True, **settings):
    told, lines = Told(), []
    config = tiny_config(file, **settings)
    pipeline = Pipeline(RECIPE, config, out, resume=resume, callbacks=[told], tell=lines.append)
    return pipeline.run(minutes=minutes), told, lines


def contents(out):
    return {name: (out / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "shapes.h5")


@pytest.fixture(scope="module")
def whole(file, tmp_path_factory):
    """A folder in which everything is done."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert run(file, out)[0].complete
    return out


def test_the_stages_and_what_they_leave(whole, file):
    for stage in ("contrastnet", "round1/network", "round2/network"):
        held = {path.name for path in (whole / stage).iterdir()}
        assert held >= {"config.yaml", "metrics.jsonl", "weights.safetensors", "weights.json"}
    encoder, last = pcclust.load(whole), pcclust.load(whole / "round2/network")
    points = UnitSphere()(torch.from_numpy(shapes(48, 0)[0]))
    assert torch.equal(encoder(points), last.backbone(points))
    assert encoder.card["parameters"] == sum(p.numel() for p in encoder.parameters())
    assert encoder.card["pipeline"]["contrastnet"]["dataset"] == str(file)
    with np.load(whole / "round2/pseudo_labels.npz") as arrays:
        before = np.load(whole / "round1/pseudo_labels.npz")["labels"]
        nmi = normalized_mutual_information(before, arrays["labels"])
        assert encoder.card["pseudo_labels"]["nmi"] == pytest.approx(nmi)
        assert arrays["sizes"].tolist() == np.bincount(arrays["labels"], minlength=5).tolist()
        assert arrays["names"].tolist() == [f"shape{i}" for i in range(48)]


def test_clusters_are_those_of_whitened_features_of_the_stage_before(whole):
    points = UnitSphere()(torch.from_numpy(shapes(48, 0)[0]))
    sources = ("contrastnet", "round1/network")
    for number, source in enumerate(sources, 1):
        model = pcclust.load(whole / source)
        features = getattr(model, "backbone", model)(points).detach()
        prepared = unit_length(PCAWhitening(4).fit_transform(features))
        expected = pcclust.KMeans(5, random_state=number).fit(prepared).labels_
        with np.load(whole / f"round{number}/pseudo_labels.npz") as arrays:
            assert normalized_mutual_information(arrays["labels"], expected) > 0.99


def test_statistics_of_rri_are_clustered_beside_features_of_an_untrained_encoder(file, tmp_path):
    run(file, tmp_path / "a", rounds=1, statistics=True, first={"epochs": 0})
    points = UnitSphere()(torch.from_numpy(shapes(48, 0)[0]))
    encoder = create_seeded("dgcnn", ENCODER["model_kwargs"], seed=0).eval()
    blocks = []
    for block in (encoder(points).detach().numpy(), rri_statistics(points).numpy()):
        scaled = StandardScaler().fit_transform(block.astype(float))
        blocks.append(scaled / np.sqrt(block.shape[1]))
    prepared = unit_length(PCAWhitening(4).fit_transform(np.concatenate(blocks, axis=1)))
    expected = pcclust.KMeans(5, random_state=1).fit(prepared).labels_
    with np.load(tmp_path / "a/round1/pseudo_labels.npz") as arrays:
        assert normalized_mutual_information(arrays["labels"], expected) > 0.99
    assert pcclust.load(tmp_path / "a").card["pseudo_labels"]["statistics"] is True


def test_what_is_done_is_skipped(whole, file):
    before = contents(whole)
    outcome, told, lines = run(file, whole)
    assert outcome.complete
    assert (told.steps, told.features) == ([], 0)
    assert lines[-1] == f"{whole}: complete; the encoder is pcclust.load({str(whole)!r})"
    assert contents(whole) == before


@pytest.mark.parametrize("workers", [0, 1])
def test_cut_into_pieces_it_has_the_same_bits(whole, file, tmp_path, workers):
    pieces = 0
    while not run(file, tmp_path / "cut", minutes=0, first={"workers": workers})[0].complete:
        pieces += 1
    assert pieces == 3 * 2 * 8  # a step at a time
    found, expected = contents(tmp_path / "cut"), contents(whole)
    for name in FILES:
        if name.endswith("safetensors"):
            assert found[name] == expected[name], name


def test_killed_at_random_moments_it_has_the_same_bits(whole, file, tmp_path):
    command = [sys.executable, "-m", "tests.methods.tiny_pipeline", str(file), str(tmp_path / "k")]
    generator, begun = random.Random(1), []
    for _ in range(4):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            begun.append(process.stdout.readline())
            time.sleep(generator.uniform(0.2, 1.0))
            process.kill()
        assert process.returncode == -signal.SIGKILL
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "complete=True" in done.stdout
    assert len(set(begun)) > 1, begun
    found, expected = contents(tmp_path / "k"), contents(whole)
    for name in FILES:
        if name.endswith("safetensors"):
            assert found[name] == expected[name], name
    assert not list((tmp_path / "k").rglob("*.tmp"))


def test_damaged_or_foreign_clusters_are_made_again(whole, file, tmp_path):
    run(file, tmp_path / "a", rounds=1)
    path = tmp_path / "a/round1/pseudo_labels.npz"
    before = np.load(path)["labels"]
    for damage in (path.read_bytes()[:100], b"", (whole / FILES[3]).read_bytes()):
        path.write_bytes(damage)
        _, told, _ = run(file, tmp_path / "a", rounds=1)
        assert (told.steps, told.features) == ([], 1)
        assert np.array_equal(np.load(path)["labels"], before)


def test_other_settings_or_data_are_refused_where_they_matter(whole, file, tmp_path):
    with pytest.raises(ValueError, match=r"contrastnet was begun with other settings: num_planes"):
        run(file, whole, first={"num_planes": 5})
    with pytest.raises(ValueError, match=r"network was begun with other settings: epochs was 2"):
        run(file, whole, network={"epochs": 3})
    run(file, tmp_path / "a", rounds=1)
    with pytest.raises(ValueError, match=r"round1/network was begun with other .* num_clusters"):
        run(file, tmp_path / "a", rounds=1, clusters=6)
    changed = write(tmp_path / "shapes.h5", seed=3)
    (tmp_path / "b").mkdir()
    run(changed, tmp_path / "b", rounds=0)
    write(changed, seed=4)
    with pytest.raises(ValueError, match="made with other training data"):
        run(changed, tmp_path / "b", rounds=0)


def test_no_round_is_contrastnet_alone(file, tmp_path):
    _, _, lines = run(file, tmp_path / "a", rounds=0)
    assert len(lines) == 1
    weights = "weights.safetensors"
    made = (tmp_path / "a" / weights).read_bytes()
    assert made == (tmp_path / "a/contrastnet" / weights).read_bytes()


def test_clusternet_runs_through(file, tmp_path):
    network = {**CLUSTERS, "epochs": 1}
    outcome, _, lines = run(file, tmp_path / "a", first=network, network=network, rounds=1)
    assert outcome.complete
    assert type(pcclust.load(tmp_path / "a")).__name__ == "ClusterNet"
    assert lines[0].startswith("round1/pseudo_labels: 48 shapes in 5 clusters of ")


def test_collapse_is_said_and_equal_features_end_it(file, tmp_path, monkeypatch):
    uneven = torch.zeros(48, 8)
    uneven[:4] = 1 + torch.eye(8)[:4]
    monkeypatch.setattr(contrastnet_pipeline, "describe_shapes", lambda *_, **__: uneven)
    with pytest.warns(ClusterCollapseWarning, match="the 5 clusters have collapsed"):
        run(file, tmp_path / "a", rounds=1, whiten=0, l2=False)
    equal = torch.ones(48, 8)
    monkeypatch.setattr(contrastnet_pipeline, "describe_shapes", lambda *_, **__: equal)
    with pytest.raises(ValueError, match="features of all 48 items are equal: the encoder has"):
        run(file, tmp_path / "b", rounds=1)


def test_mistakes_show_before_anything_is_trained(whole, file, tmp_path):
    out = tmp_path / "out"
    for settings, message in (
        ({"clusters": 49}, r"clusters=49 exceeds the 48 shapes of .*: give fewer --clusters"),
        ({"clusters": 1}, r"clusters=1 must be at least 2"),
        ({"rounds": -1}, r"rounds=-1 must not be negative"),
        ({"whiten": 40}, r"whiten=40 exceeds the 32 features of DGCNN"),
        ({"whiten": 400, "statistics": True}, r"the 332 features of DGCNN and statistics of RRI"),
        ({"network": {"model_kwargs": {"k": 60}}}, r"shapes of 48 points are too small for DGCNN"),
        ({"network": {"model": "dgcn"}}, r"no model 'dgcn'"),
    ):
        with pytest.raises(ValueError, match=message):
            run(file, out, **settings)
        assert not out.exists()
    same = np.repeat(shapes(1, 0)[0], 12, axis=0)
    write_hdf5(tmp_path / "same.h5", [same], count=12, num_points=48, names=list("abcdefghijkl"))
    with pytest.raises(ValueError, match=r"all 12 shapes of .*same.h5 are the same"):
        run(tmp_path / "same.h5", out)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/config.yaml").write_text("method: classification\n")
    with pytest.raises(FileExistsError, match=r"taken holds a run of another command"):
        run(file, tmp_path / "taken")
    with pytest.raises(FileExistsError, match=r"shapes.h5 is a file: give another --out"):
        run(file, file)
    with pytest.raises(FileExistsError, match="out holds a run already: go on with it by"):
        run(file, whole, resume=False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="other is there and is no run"):
        run(file, tmp_path / "other")


def test_the_key_is_of_all_that_decides_labels(whole):
    settings = {"clusters": 5, "seed": 1}
    keys = {
        labels_key(settings, "a", "b", None),
        labels_key(settings | {"seed": 2}, "a", "b", None),
        labels_key(settings, "c", "b", None),
        labels_key(settings, "a", "c", None),
        labels_key(settings, "a", "b", "d"),
    }
    assert len(keys) == 5
    assert labels_key(dict(reversed(settings.items())), "a", "b", None) in keys
    assert read_labels(whole / "none.npz", "x") is None
