"""Farthest point sampling."""

import numpy as np
import torch
from torch import Tensor

from pcclust.ops._arrays import accepts_numpy
from pcclust.ops._checks import check_matrix, check_points, require
from pcclust.ops._clouds import Clouds, check_count, flatten
from pcclust.ops._layouts import readable
from pcclust.ops._magnitude import brought_near
from pcclust.ops._registry import call, declare


@accepts_numpy
def farthest_point_sample(
    points: Tensor,
    num_samples: int,
    *,
    start: int | Tensor | None = 0,
    generator: torch.Generator | None = None,
    lengths: Tensor | None = None,
    offsets: Tensor | None = None,
    batch: Tensor | None = None,
) -> Tensor:
    """Chooses points one by one, each the farthest from all chosen before it.

    The rule is exact: the next point has the largest squared distance to the chosen ones, ties go
    to the lowest index, and no point is chosen twice, even among duplicates.

    Args:
        points: as for `knn`; any dimension, float16 and bfloat16 are computed in float32.
        num_samples: how many points of every cloud, from 1 to the points of the smallest.
        start: the first point's position in its cloud (also with ``offsets``): one for all clouds,
            ``(B,)`` integers, or None to draw it with ``generator``.
        generator: draws the first points where ``start`` is None.
        lengths: as for `knn`.
        offsets: as for `knn`.
        batch: as for `knn`.

    Returns:
        ``(num_samples,)`` for one cloud, otherwise ``(B, num_samples)``: int64 positions in the
        cloud (rows of the packed tensor with ``offsets``), in the order of choice.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: ``num_samples`` beyond a cloud, ``start`` outside of it, ``generator`` without
            ``start=None`` or the reverse, and as for `knn`.

    Source: Eldar et al., "The farthest point strategy for progressive image sampling" (1997). Every
    backend returns the same indices: distances are summed in order of dimension, every operation
    rounded.

    Example:
        >>> import torch, pcclust
        >>> line = torch.tensor([[0.0, 0, 0], [1, 0, 0], [3, 0, 0], [4, 0, 0]])
        >>> pcclust.farthest_point_sample(line, 3).tolist()
        [0, 3, 1]
    """
    clouds = flatten(points, lengths, offsets, batch=batch)
    check_count(num_samples, clouds, "num_samples")
    first = _first_points(clouds, start, generator)
    rows = brought_near(clouds).clouds.rows.detach()
    arguments = (rows, clouds.starts, clouds.sizes, first, clouds.packed)
    indices: Tensor = call("farthest_point_sample", *arguments, num_samples)
    single = points.dim() == 2 and not clouds.packed
    return indices[0] if single else indices


def _first_points(
    clouds: Clouds, start: int | Tensor | None, generator: torch.Generator | None
) -> Tensor:
    """Returns ``(B,)`` int64, the position in its cloud of the point that each begins with."""
    if (start is None) != (generator is not None):
        raise ValueError(
            "start=None needs a generator to draw the first points with"
            if start is None
            else f"a generator draws the first points only with start=None, got start={start}"
        )
    if start is None and generator is not None:
        device = clouds.sizes.device
        drawn = torch.rand(
            len(clouds.sizes), generator=generator, device=generator.device, dtype=torch.float64
        )
        return (drawn.to(device) * clouds.sizes).long().minimum(clouds.sizes - 1)
    if isinstance(start, Tensor):
        first = _per_cloud(start, clouds)
    elif isinstance(start, (int, np.integer)) and not isinstance(start, bool):
        first = torch.full_like(clouds.sizes, int(start))
    else:
        raise TypeError(f"start must be an int, a tensor or None, got {type(start).__name__}")
    if readable(first) and readable(clouds.sizes):
        bad = ((first < 0) | (first >= clouds.sizes)).nonzero().flatten()
        if bad.numel():
            cloud = int(bad[0])
            raise ValueError(
                f"start={int(first[cloud])} is not a point of cloud {cloud}, "
                f"which has {int(clouds.sizes[cloud])}"
            )
    return first


def _per_cloud(start: Tensor, clouds: Clouds) -> Tensor:
    if start.is_floating_point() or start.is_complex() or start.dtype == torch.bool:
        raise TypeError(f"start must hold integers, got {start.dtype}")
    if start.dim() > 1 or (start.dim() == 1 and start.shape[0] != clouds.sizes.shape[0]):
        raise ValueError(
            f"start must be one for each of the {clouds.sizes.shape[0]} clouds, "
            f"got shape {tuple(start.shape)}"
        )
    return start.to(clouds.sizes).expand_as(clouds.sizes).contiguous()


def _farthest_point_sample_torch(
    points: Tensor, starts: Tensor, sizes: Tensor, first: Tensor, packed: bool, num_samples: int
) -> Tensor:
    """Samples all clouds in step; what is not a point of a cloud has distance -1."""
    _check_samples(points, starts, sizes, first, num_samples)
    width = int(sizes.max()) if sizes.numel() else 0
    if width == 0:
        return starts.new_full((starts.shape[0], num_samples), -1)
    column = torch.arange(width, device=points.device)
    inside = column < sizes[:, None]
    # Beside the cloud stands its first point: padding may be NaN, which no minimum forgets.
    rows = (starts[:, None] + torch.where(inside, column, 0)).clamp(max=points.shape[0] - 1)
    coordinates = points[rows].unbind(dim=-1)
    distances = torch.where(inside, torch.inf, -1.0).to(points.dtype)
    chosen = [torch.where(sizes > 0, first, 0)[:, None]]
    for _ in range(num_samples - 1):
        distances.scatter_(1, chosen[-1], -1.0)
        torch.minimum(distances, _distances_to(coordinates, chosen[-1]), out=distances)
        chosen.append(distances.argmax(dim=1, keepdim=True))
    indices = torch.cat(chosen, dim=1)
    indices = indices + starts[:, None] if packed else indices
    return torch.where(sizes[:, None] > 0, indices, -1)


def _check_samples(
    points: Tensor, starts: Tensor, sizes: Tensor, first: Tensor, num_samples: int
) -> None:
    require(num_samples >= 1, f"num_samples must be at least 1, got {num_samples}")
    check_points(points, starts, sizes)
    check_matrix(first, "first", starts.shape, torch.int64)
    some = sizes > 0
    enough = bool((~some | (sizes >= num_samples)).all())
    require(enough, f"num_samples={num_samples} exceeds the points of a cloud")
    inside = bool((~some | ((first >= 0) & (first < sizes))).all())
    require(inside, "a start is not a point of its cloud")


def _distances_to(coordinates: tuple[Tensor, ...], chosen: Tensor) -> Tensor:
    """Returns ``(B, N)`` squared distances to one point of each cloud, summed in order."""
    total = torch.zeros_like(coordinates[0])
    for values in coordinates:
        difference = values - values.gather(1, chosen)
        total += difference * difference
    return total


def _farthest_point_sample_fake(
    points: Tensor, starts: Tensor, sizes: Tensor, first: Tensor, packed: bool, num_samples: int
) -> Tensor:
    return points.new_empty((starts.shape[0], num_samples), dtype=torch.int64)


declare(
    "farthest_point_sample(Tensor points, Tensor starts, Tensor sizes, Tensor first, bool packed, "
    "int num_samples) -> Tensor indices",
    _farthest_point_sample_torch,
    _farthest_point_sample_fake,
)
