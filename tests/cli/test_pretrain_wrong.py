"""What `pcclust pretrain` says of data that no method can cluster, and what it falls back to."""

import json

import numpy as np
import pytest
import torch

from pcclust.cli.main import main
from pcclust.data.hdf5_writer import write_hdf5
from tests.methods.families import families

ON_FEATURES = ("spice", "temi")
SMALL = ["--model", "dgcnn", "--model-kwargs", "k=4", "channels=[8]", "embedding=16"]


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["pretrain", *map(str, arguments)])
    return int(stopped.value.code)


def write(path, points):
    count = len(points)
    write_hdf5(
        path, [points.numpy()], count=count, num_points=points.shape[1],
        names=[str(i) for i in range(count)], labels=None, class_names=[], up_axis=None,
    )  # fmt: skip
    return path


def error_of(capsys):
    return " ".join(capsys.readouterr().err.split())


@pytest.fixture
def few(tmp_path):
    """Six shapes, or features of six for methods that learn on these."""
    np.save(tmp_path / "few.npy", np.random.default_rng(0).normal(size=(6, 5)))
    write(tmp_path / "few.h5", families(6, num_points=32)[0])
    return lambda method: tmp_path / ("few.npy" if method in ON_FEATURES else "few.h5")


@pytest.mark.parametrize("method", ["cc", "dec", "scan", "temi"])  # all others check as these do
def test_more_clusters_than_shapes_are_refused(method, few, tmp_path, capsys):
    options = [] if method in ON_FEATURES else ["--num-points", "32", *SMALL]
    if method == "dec":  # that the auto-encoder comes first changes nothing
        options += ["--autoencoder.epochs", "0", "--autoencoder.batch-size", "2"]
    if method == "scan":
        options += ["--pretext.epochs", "0", "--pretext.batch-size", "2"]
    out = tmp_path / "run"
    assert run(method, few(method), "--clusters", 7, "--out", out, *options) == 1
    said = error_of(capsys)
    assert "--clusters 7 exceeds the 6 shapes of" in said
    assert "give fewer --clusters" in said


@pytest.mark.parametrize("method", ["cc", "temi"])
def test_one_shape_and_equal_ones_are_refused(method, tmp_path, capsys):
    shapes = families(1, num_points=32)[0]
    for name, points, message in (
        ("one", shapes, "single"),
        ("alike", shapes.repeat(5, 1, 1), "the same"),
    ):
        data = write(tmp_path / f"{name}.h5", points)
        if method in ON_FEATURES:
            data = tmp_path / f"{name}.npy"
            np.save(data, points.flatten(1).numpy())
        options = [] if method in ON_FEATURES else ["--num-points", "32"]
        assert run(method, data, "--clusters", 2, "--out", tmp_path / name, *options) == 1
        assert message in error_of(capsys)
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("method", ["cc", "spice"])
def test_batches_larger_than_the_data_shrink_and_train(method, few, tmp_path, capsys):
    options = ["--heads", "2"] if method in ON_FEATURES else ["--num-points", "32", *SMALL]
    out = tmp_path / "run"
    settings = ["--epochs", "2", "--batch-size", "500", "--out", out, *options]
    assert run(method, few(method), "--clusters", 2, *settings) == 0
    assert "batches have 6 shapes and not 500: there are 6" in " ".join(
        capsys.readouterr().out.split()
    )
    log = next(out.glob("*/metrics.jsonl")).read_text().splitlines()
    losses = [json.loads(line)["train_loss"] for line in log if "train_loss" in line]
    assert len(losses) == 2
    assert losses[0] != losses[1]
    assert np.isfinite(losses).all()


def test_self_labelling_without_a_sure_shape_teaches_nothing_and_says_so(tmp_path, capsys):
    data = write(tmp_path / "few.h5", families(12, num_points=32)[0])
    tiny = ["--epochs", "1", "--batch-size", "6", "--num-points", "32", *SMALL]
    stages = ["--pretext.epochs", "1", "--pretext.batch-size", "6"]
    last = ["--self-label.epochs", "1", "--self-label.batch-size", "6"]
    out = tmp_path / "run"
    assert run("scan", data, "--clusters", 3, "--out", out, *tiny, *stages, *last) == 0
    line = json.loads((out / "self_label" / "metrics.jsonl").read_text().splitlines()[0])
    assert line["train_sure"] == 0
    assert line["train_loss"] == 0
    from safetensors.torch import load_file

    for value in load_file(out / "weights.safetensors").values():
        assert torch.isfinite(value.float()).all()
