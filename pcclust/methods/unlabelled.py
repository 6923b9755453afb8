"""Shapes without their labels: opened, and described by an encoder."""

from typing import Any

import torch
from torch import Tensor, nn

from pcclust.cluster._inputs import mean_and_deviation
from pcclust.cluster.pseudo_labels import check_not_all_equal
from pcclust.data import PointDataset
from pcclust.data.dataset import UpAxis
from pcclust.data.held import transformed
from pcclust.data.named import open_named
from pcclust.data.seeding import seeded_generator
from pcclust.data.transforms import UnitSphere
from pcclust.evaluate.embedding import embed
from pcclust.evaluate.forward import Model
from pcclust.methods.views import EncoderConfig
from pcclust.nn.rri_statistics import CHANNELS, rri_statistics
from pcclust.training import Progress

LIMIT = 5  # a use of the seed
SHAPES_AT_ONCE = 64


def open_unlabelled(
    name: str,
    num_points: int,
    up_axis: UpAxis | None = None,
    *,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> PointDataset:
    """Opens shapes without their labels, each centred and scaled to the unit sphere.

    Args:
        name: modelnet40 or modelnet10 (in $PCCLUST_DATA), or an HDF5 file or folder of shapes.
        num_points: the points of every shape.
        up_axis: the axis against gravity, where the dataset does not know it.
        split: of a dataset that has splits; "train" if None.
        limit: so many shapes at most, drawn at random; all if None.
        seed: of that draw.

    Raises:
        FileNotFoundError: the data are not there.
        ValueError: fewer than two shapes, or all of them alike.
    """
    shapes = open_named(name, split, num_points=num_points)
    if limit is not None and limit < len(shapes):
        drawn = torch.randperm(len(shapes), generator=seeded_generator(seed, LIMIT))[:limit]
        shapes = shapes.subset(drawn.sort().values)
    storage = transformed(shapes, UnitSphere())
    found = PointDataset(storage, None, shapes.names, up_axis=up_axis or shapes.up_axis)
    _check_distinct(found, name)
    return found


def encode_shapes(
    model: Model, shapes: PointDataset, *, what: str = "features", progress: Progress
) -> Tensor:
    """Describes whole shapes as `pcclust.evaluate.embed` does, for a method that trains.

    Args:
        model: maps ``(B, N, 3)`` to ``(B, C)``; where its parameters are, the work is done.
        shapes: N of them.
        what: is made, as the progress calls it.
        progress: is told how far it is.
    """
    return embed(
        model, shapes, layout="BN3", progress=lambda done, total: progress(what, done, total)
    )


def describe_shapes(
    encoder: nn.Module, shapes: PointDataset, *, statistics: bool, progress: Progress
) -> Tensor:
    """Describes whole shapes by an encoder and, if asked, by the statistics of their RRI.

    Both then have an equal say: each channel has mean 0, and the channels of each kind have the
    same variance, 1 in sum (but for channels that are constant).

    Args:
        encoder: maps ``(B, N, 3)`` to ``(B, C)``; where its parameters are, the work is done.
        shapes: N of them.
        statistics: whether `rri_statistics` are put beside the features.
        progress: is told how far it is.

    Returns:
        ``(N, described_channels(encoder, statistics))`` float32 on the CPU.

    Raises:
        ValueError: statistics are asked for beside features that are all equal.
    """
    features = encode_shapes(encoder, shapes, progress=progress)
    if not statistics:
        return features
    check_not_all_equal(features)  # the statistics would hide it
    told = encode_shapes(rri_statistics, shapes, what="statistics of RRI", progress=progress)
    return torch.cat([_evened(features), _evened(told)], dim=1)


def described_channels(encoder: nn.Module, statistics: bool) -> int:
    """Returns the width of what `describe_shapes` returns."""
    return int(encoder.out_channels) + (CHANNELS if statistics else 0)  # type: ignore[arg-type]


def mean_and_scale(features: Tensor) -> tuple[Tensor, Tensor]:
    """Returns by what to shift and divide columns for mean 0 and variance 1 / C.

    Args:
        features: ``(N, C)``.

    Returns:
        ``(C,)`` means, and ``(C,)`` divisors, infinite for a column that is constant; float64.
    """
    mean, deviation = mean_and_deviation(features)
    return mean, torch.where(deviation > 0, deviation * features.shape[1] ** 0.5, torch.inf)


@torch.no_grad()
def absorb_scaling(layer: nn.Linear, mean: Tensor, scale: Tensor) -> None:
    """Lets a layer that learned on ``(features - mean) / scale`` take the features as they are."""
    layer.weight.div_(scale)
    layer.bias.sub_((layer.weight * mean).sum(dim=1))


def _evened(features: Tensor) -> Tensor:
    """Brings columns to mean 0 and variance 1 / C; one that is constant becomes 0."""
    mean, scale = mean_and_scale(features)
    return ((features.double() - mean) / scale).to(features.dtype)


def card_of_encoder(config: EncoderConfig, num_points: int, data: dict[str, Any]) -> dict[str, Any]:
    """Returns what the cards of all encoders trained without labels say."""
    return {
        "model": config.model,
        "model_kwargs": config.model_kwargs,
        "class_names": [],
        "num_points": num_points,
        "normalization": "centred, farthest point at radius 1",
        "rotation": config.rotation,
        "data": data,
        "method": config.method,
        "seed": config.seed,
    }


def _check_distinct(shapes: PointDataset, name: str) -> None:
    if len(shapes) < 2:
        raise ValueError(f"{name} holds a single shape; it takes many to learn what differs")
    first = shapes.batch(torch.tensor([0]))
    parts = torch.split(torch.arange(len(shapes)), SHAPES_AT_ONCE)
    if all(bool((shapes.batch(rows) == first).all()) for rows in parts):
        raise ValueError(f"all {len(shapes):,} shapes of {name} are the same: nothing to learn")
