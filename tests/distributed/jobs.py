"""Shapes, weights and runs of the commands that write shards."""

import numpy as np
import pytest
import torch

from pcclust.cli.main import main
from pcclust.distributed.shards import ShardFolder
from pcclust.nn import DGCNN
from pcclust.nn.weights import save_weights

SETTINGS = {"k": 4, "channels": [8], "embedding": 16}


def run(*arguments):
    """Returns the exit code of a command."""
    with pytest.raises(SystemExit) as stop:
        main([*map(str, arguments)])
    return int(stop.value.code or 0)


def write_weights(folder, seed=0):
    torch.manual_seed(seed)
    card = {"model": "dgcnn", "model_kwargs": SETTINGS, "class_names": [], "num_points": 24}
    return save_weights(folder / f"{seed}.safetensors", DGCNN(**SETTINGS), card)[0]


def clouds(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 30, 3))


def write_shapes(folder):
    """Writes 19 shapes: files of one and of several, two of which are no good."""
    folder.mkdir()
    for at, cloud in enumerate(clouds(6)):
        np.save(folder / f"a{at}.npy", cloud)
    (folder / "a2x.off").write_text("OFF\n1 2\n")
    np.save(folder / "b.npy", clouds(9, 1))
    np.save(folder / "c.npy", np.ones((24, 3)))
    np.savez(folder / "d.npz", points=clouds(2, 2))
    return folder


def rows_of(url):
    """Returns names and features of all shards of vectors."""
    batches = list(ShardFolder(str(url)).stream(1000))
    names = [name for batch in batches for name in batch.names]
    return names, np.concatenate([batch.features for batch in batches])


def contents(folder):
    """Returns the bytes of all files in a folder but the list of shapes."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard-*"))}
