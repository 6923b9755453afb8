"""Rotation-invariant features of several shapes at once, those that have none left out."""

import numpy as np
import torch

from pcclust.data.partial_output import FeatureBatch
from pcclust.data.streaming import NamedCloud, ReadFailure
from pcclust.ops.rri_code import rri_encode

# Shapes are described together up to this many points: enough work for every thread, and with
# k = 20 an array of 10 MB, which bounds memory and what an interruption loses.
POINTS_PER_BATCH = 32_768


def describe_readable(
    clouds: list[NamedCloud], k: int
) -> tuple[FeatureBatch | None, list[ReadFailure]]:
    """Describes the points of the shapes that can be; one of too few for k spoils no other.

    Args:
        clouds: some shapes.
        k: how many neighbours describe a point; see `pcclust.rri_encode`.

    Returns:
        The features, None where no shape can be described, and why the others cannot.
    """
    if not clouds:
        return None, []
    try:
        return _describe(clouds, k), []
    except ValueError as error:
        if len(clouds) == 1:
            return None, [ReadFailure(clouds[0].name, f"{clouds[0].name}: {error}")]
    alone = [describe_readable([cloud], k) for cloud in clouds]
    good = [cloud for cloud, (batch, _) in zip(clouds, alone, strict=True) if batch is not None]
    refused = [failure for _, failures in alone for failure in failures]
    return (_describe(good, k) if good else None), refused


def _describe(clouds: list[NamedCloud], k: int) -> FeatureBatch:
    sizes = np.array([len(cloud.points) for cloud in clouds], dtype=np.int64)
    centroids = np.stack([cloud.points.mean(axis=0, dtype=np.float64) for cloud in clouds])
    # Centred in float64 first, so that float32 suffices for georeferenced coordinates too.
    centred = np.concatenate(
        [cloud.points.astype(np.float64) for cloud in clouds]
    ) - centroids.repeat(sizes, axis=0)
    points = centred.astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    code = rri_encode(torch.from_numpy(points), k, offsets=torch.from_numpy(offsets))
    neighbors = code.neighbors.numpy() - offsets[:-1].repeat(sizes)[:, None]
    names = [cloud.name for cloud in clouds]
    return FeatureBatch(
        names, sizes, centroids, points, code.features.numpy(), neighbors.astype(np.int32)
    )
