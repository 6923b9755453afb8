# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: -all
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Add a method
#
# At the end of this notebook you have written a deep-clustering method in some thirty lines, trained it on turned
# shapes of three kinds, and seen that it finds the kinds. It needs `pip install 'pcclust[train]'`.

# %%
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

import pcclust
from pcclust.cluster.metrics import clustering_accuracy
from pcclust.data import PointDataset
from pcclust.data.transforms import RotateSO3, UnitSphere
from pcclust.losses import imbalance
from pcclust.methods.base import DeepClustering, DeepClusteringConfig, Views
from pcclust.nn.cluster_heads import LinearHead
from pcclust.training import RunFolder, fit

# %% [markdown]
# ## The method
# Two views of a shape shall fall into one cluster, and clusters shall be equally large. Settings are a dataclass;
# the method is its heads and its loss. All else is there: views, encoder, the loop, checkpoints, several processes.


# %%
@dataclass(frozen=True, kw_only=True)
class AlikeConfig(DeepClusteringConfig):
    """How clusters are learned.

    Attributes:
        weight: of equal sizes.
    """

    weight: float = 2.0

    method: ClassVar[str] = "alike"


class Alike(DeepClustering):
    """Two views of a shape fall into one cluster, and clusters are equally large."""

    config: AlikeConfig

    def heads(self, width: int) -> dict[str, nn.Module]:
        return {"cluster": LinearHead(width, self.config.num_clusters)}

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        p = self.outputs(model, batch)["cluster"].softmax(dim=-1)  # (B, V, K)
        unlike = -(p[:, 0] * p[:, 1]).sum(dim=1).log().mean()
        return {"loss": unlike + self.config.weight * imbalance(p.flatten(0, 1))}


# %% [markdown]
# ## Three kinds of shapes
# Boxes, plates and balls of different proportions, all turned at random.

# %%
generator = torch.Generator().manual_seed(0)
kinds = torch.arange(120) % 3
cubes = 2 * torch.rand(120, 128, 3, generator=generator) - 1
balls = torch.nn.functional.normalize(torch.randn(120, 128, 3, generator=generator), dim=2)
sides = torch.tensor([[1.0, 0.6, 0.4], [1.0, 0.9, 0.05], [1.0, 1.0, 1.0]])[kinds]
points = torch.where((kinds == 2)[:, None, None], balls, cubes) * sides[:, None]
shapes = PointDataset(UnitSphere()(RotateSO3()(points, generator)))

# %% [markdown]
# ## The training

# %%
config = AlikeConfig(
    dataset="kinds",
    num_clusters=3,
    num_points=128,
    epochs=8,
    batch_size=12,
    max_scale=1.1,
    model="clusternet",
    model_kwargs={
        "num_clusters": [16, 4],
        "neighbors": [8, 4, 1],
        "channels": [[16], [32], [32]],
        "embedding": 32,
    },
)
folder = Path(tempfile.mkdtemp()) / "alike"
method = Alike(config, shapes)
print("\n".join(method.describe()))
fit(method, RunFolder(folder))

# %%
model = pcclust.load(folder)
clusters = model.assign(shapes.points).argmax(dim=1)
print(
    f"accuracy {clustering_accuracy(kinds, clusters):.2f}, sizes {torch.bincount(clusters).tolist()}"
)

# %% [markdown]
# As a file `pcclust/methods/alike.py` with a `RECIPE` and a row in the table of methods, it is
# `pcclust pretrain alike DATA --clusters K`, with presets, `--resume`, `--init` and several processes.
