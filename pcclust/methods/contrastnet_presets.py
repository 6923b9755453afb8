"""Settings of ContrastNet's pipeline under a name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pcclust.methods.contrastnet_pipeline import PipelineConfig, publish, stages
from pcclust.methods.stages import Recipe

# The official code's: Adam, no decay of weights, and views of upright shapes.
_ZHANG_VIEWS = {
    "rotation": "z",
    "jitter": 0.01,
    "max_scale": 1.25,
    "stretch": False,
    "tilt": 0.06,
    "max_shift": 0.1,
    "weight_decay": 0.0,
    "warmup_epochs": 0.0,
}
_ZHANG_DGCNN = {
    "k": 20,
    "channels": [64, 64, 64, 128],
    "negative_slope": 0.0,
    "mean": False,
    "input_transform": True,
}

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "rotation-invariant": {
            "statistics": True,
            "whiten": 64,
            "l2": True,
            "contrastnet": {
                "model": "clusternet",
                "epochs": 40,
                "batch_size": 32,
                "num_planes": 30,
                "group": 4,
            },
            "network": {"model": "clusternet", "epochs": 40, "batch_size": 32},
        },
        "zhang2019": {
            "contrastnet": _ZHANG_VIEWS
            | {
                "model": "dgcnn",
                "model_kwargs": _ZHANG_DGCNN | {"embedding": 256},
                "epochs": 40,
                "batch_size": 14,
                "normals": "cube",
                "part_points": 512,
                "shared": False,
            },
            "network": _ZHANG_VIEWS
            | {
                "model": "dgcnn",
                "model_kwargs": _ZHANG_DGCNN | {"embedding": 1024},
                "epochs": 40,
                "batch_size": 36,
            },
        },
    }
)

RECIPE = Recipe(
    about="""Contrasts parts of shapes, then trains a network on clusters of whole shapes.

    The folder gets a run of each stage (contrastnet, round1/network, …) and the clusters
    (round1/pseudo_labels.npz, …); the result is the last network's encoder. Options without a
    prefix are of the first stage, or of all. Presets: "rotation-invariant", which needs no upright
    pose, and "zhang2019", as in the official code.
    """,
    config=PipelineConfig,
    stages=stages,
    presets=PRESETS,
    data=lambda config: config.contrastnet,
    publish=publish,
)


def contrastnet_preset(name: str, dataset: str, **settings: object) -> PipelineConfig:
    """Returns the settings of a preset.

    ``rotation-invariant`` is ours. Parts are whole sides of planes, described by `ClusterNet` about
    their own centroids, so that nothing depends on a pose, in training or after; they are as dense
    as whole shapes; groups of four shapes give each part more pairs; the statistics of RRI are put
    beside the features, which are whitened to 64 components and brought to length one before they
    are clustered. All sizes are our choice.

    ``zhang2019`` has the settings of the official code: DGCNN with k = 20, a T-Net and widths 64,
    64, 64, 128 and 256 (1,024 in the second stage), a branch of its own for each side of a pair,
    15 planes whose normals are uniform in a cube, parts of 512 points drawn with replacement, two
    parts of each of two shapes in six pairs, label smoothing 0.2, Adam at 0.001, 300 clusters of
    plain features. What differs:

    - Clouds have 1,024 points, not 2,048: a side of a plane has at least 256 of them, not 512; so
      a part repeats more of its points. Whole shapes are all 1,024 points as they are, where the
      code draws them from two complementary parts.
    - A part is augmented and encoded once and used in all its pairs, where the code does so for
      each pair anew. Batches are 42 pairs of 14 whole shapes, not 40 pairs.
    - The learning rate falls by a cosine over 40 epochs, not in steps over 600 (201 in the second
      stage), and BatchNorm's running averages have a fixed momentum.
    - The T-Net has one layer on edges before their maximum, not two (see `DGCNN`), and the MLP of
      the second stage has LeakyReLUs.

    Where paper and code disagree the code is followed; ``shared=True`` is the Siamese pair of the
    paper's figure, ``num_planes=30`` and ``clusters=16`` are other revisions of the code, and
    ``rounds=2`` is its second clustering.

    Args:
        name: of the preset.
        dataset: as `ContrastNetConfig` takes it.
        **settings: of `ContrastNetConfig`, which replace those of the preset.

    Example:
        >>> from pcclust.methods.contrastnet_presets import contrastnet_preset
        >>> ours = contrastnet_preset("rotation-invariant", "modelnet10", epochs=5)
        >>> ours.contrastnet.model, ours.contrastnet.epochs, ours.clusters
        ('clusternet', 5, 300)
    """
    config: PipelineConfig = RECIPE.preset(name, contrastnet={"dataset": dataset, **settings})
    return config
