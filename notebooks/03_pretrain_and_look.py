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
# # Pretrain and look
#
# At the end of this notebook you have trained an encoder without labels on the furniture that comes with pcclust,
# interrupted the training, gone on to the same bits, and looked at what it has learned. It needs
# `pip install 'pcclust[train]'`.

# %%
import json
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import pcclust
from pcclust.methods import find_recipe
from pcclust.methods.pipeline import Pipeline

data = Path("../data").resolve()
folder = Path(tempfile.mkdtemp())
warnings.formatwarning = lambda message, category, *_: f"{category.__name__}: {message}\n"

# %% [markdown]
# ## A method and its settings
# A method is a recipe: settings, presets, stages. `pcclust pretrain METHOD` runs the same from the command line.
# Contrastive Clustering (`cc`) learns features and clusters at once. Four epochs of small clouds and a small
# ClusterNet are a toy; they show the way.

# %%
recipe = find_recipe("cc")
small = {
    "num_clusters": [16, 4],
    "neighbors": [8, 4, 1],
    "channels": [[16], [32], [32]],
    "embedding": 32,
}
config = recipe.preset(
    dataset=str(data / "furniture.h5"),
    num_clusters=15,
    num_points=256,
    epochs=4,
    batch_size=32,
    learning_rate=3e-3,
    model="clusternet",
    model_kwargs=small,
    log_every=1,
)
outcome = Pipeline(recipe, config, folder / "whole").run()
outcome

# %% [markdown]
# ## The curves
# `metrics.jsonl` has a line for each step and each epoch: the loss, and what is measured without labels, above all
# the perplexity of the sizes: how many clusters of one size would be as even. At first nearly all shapes are in one.

# %%
lines = [json.loads(line) for line in (folder / "whole/cc/metrics.jsonl").read_text().splitlines()]
steps = [line for line in lines if "loss" in line]
epochs = [line for line in lines if "perplexity" in line]
figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
axes.plot([line["step"] for line in steps], [line["loss"] for line in steps])
axes.set_xlabel("step")
axes.set_ylabel("loss")
axes.grid(alpha=0.3)
[
    {name: round(line[name], 2) for name in ("epoch", "perplexity", "empty", "confidence")}
    for line in epochs
]

# %% [markdown]
# ## Interrupted
# Stop after a moment; then go on. The weights are those of the run that was not stopped, to the bit.

# %%
cut = Pipeline(recipe, config, folder / "cut").run(minutes=0.02)
print("complete:", cut.complete)
done = Pipeline(recipe, config, folder / "cut", resume=True).run()
same = (folder / "cut/weights.safetensors").read_bytes() == (
    folder / "whole/weights.safetensors"
).read_bytes()
print("complete:", done.complete, "same bits:", same)

# %% [markdown]
# ## What it has learned
# A run's folder is loaded like weights that come with pcclust. It has clusters of its own, and an encoder.

# %%
model = pcclust.load(folder / "whole")
shapes = pcclust.data.open_dataset(data / "furniture.h5", num_points=256)
clusters = model.assign(shapes.points).argmax(dim=1)
torch.bincount(clusters, minlength=15).tolist()

# %%
pcclust.embed(folder / "whole", shapes).shape
