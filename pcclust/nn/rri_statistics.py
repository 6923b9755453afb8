"""Features of whole shapes without any training: statistics of RRI over the points."""

import torch
from torch import Tensor

from pcclust.ops import farthest_point_sample, rri
from pcclust.ops._arrays import accepts_numpy
from pcclust.ops._clouds import working_precision

# Our choices, made on the training shapes of ModelNet10: at each of three scales, how many
# points are described by how many neighbours; by all of them where None.
SCALES: tuple[tuple[int | None, int], ...] = ((None, 20), (128, 32), (128, 127))
QUANTILES = 9
NUMBERS = 8  # of each point
CHANNELS = len(SCALES) * (NUMBERS * QUANTILES + NUMBERS * (NUMBERS - 1) // 2)
LEAST_POINTS = 4
# Below this deviation a channel is as good as constant, and correlates with nothing.
FLAT = 1e-3
POINTS_AT_ONCE = 1 << 15


@accepts_numpy
def rri_statistics(points: Tensor) -> Tensor:
    """Describes each shape by how the RRI features of its points are distributed.

    A baseline that needs no training: neither rotation, nor position, nor size, nor the order of
    the points changes it (but by rounding). Lengths are divided by the root mean square distance
    from the centroid. At three scales (the 20 nearest neighbours of every point; the 32 nearest,
    and all the others, of 128 points farthest apart) each point has eight numbers: r_i, the mean
    of r_ik - r_i, the deviation of r_ik, mean and deviation of θ_ik, largest and deviation of φ_ik,
    and the mean distance of the neighbours. A shape has, per scale, nine quantiles of each number
    over the points and the correlations of all pairs of numbers (our choice throughout).

    Args:
        points: ``(B, N, 3)`` shapes of at least 4 points.

    Returns:
        ``(B, 300)`` float32 or, of float64 points, float64.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: wrong shape, too few points, NaN or inf.

    Example:
        >>> import torch
        >>> from pcclust.nn.rri_statistics import rri_statistics
        >>> shapes = torch.randn(2, 200, 3, dtype=torch.float64)
        >>> turned = 3 * shapes[:, :, [1, 2, 0]] + 7
        >>> torch.allclose(rri_statistics(shapes), rri_statistics(turned))
        True
    """
    if points.dim() != 3 or points.shape[2] != 3 or points.shape[1] < LEAST_POINTS:
        raise ValueError(
            f"points must be (B, N, 3) with N >= {LEAST_POINTS}, got {tuple(points.shape)}"
        )
    points = working_precision(points)
    step = max(1, POINTS_AT_ONCE // points.shape[1])
    return torch.cat([_describe(part) for part in torch.split(points, step)])


def _describe(points: Tensor) -> Tensor:
    centred = points - points.mean(dim=1, keepdim=True)
    radii = centred.square().sum(dim=2)
    size = radii.mean(dim=1).sqrt()[:, None, None]
    shapes = centred / torch.where(size > 0, size, 1)
    features = []
    for count, neighbors in SCALES:
        chosen = _farthest(shapes, radii, count)
        numbers = _numbers(rri(chosen, min(neighbors, chosen.shape[1] - 1)))
        features += [_quantiles(numbers), _correlations(numbers)]
    return torch.cat(features, dim=1)


def _farthest(shapes: Tensor, radii: Tensor, count: int | None) -> Tensor:
    """Returns points far apart, beginning with the outermost, whatever the points' order is."""
    if count is None or count >= shapes.shape[1]:
        return shapes
    chosen = farthest_point_sample(shapes, count, start=radii.argmax(dim=1))
    return shapes.gather(1, chosen[..., None].expand(-1, -1, 3))


def _numbers(features: Tensor) -> Tensor:
    """Sums RRI features ``(B, N, k, 4)`` up in eight numbers a point."""
    radius, reach, angle, gap = features.movedim(3, 0).contiguous()  # sums of strides are slow
    squared = radius.square() + reach.square() - 2 * radius * reach * angle.cos()
    columns = [
        radius[..., 0],
        (reach - radius).mean(dim=2),
        reach.std(dim=2, correction=0),
        angle.mean(dim=2),
        angle.std(dim=2, correction=0),
        gap.amax(dim=2),
        gap.std(dim=2, correction=0),
        squared.clamp(min=0).sqrt().mean(dim=2),
    ]
    return torch.stack(columns, dim=2)


def _quantiles(numbers: Tensor) -> Tensor:
    counted = torch.arange(QUANTILES, dtype=numbers.dtype, device=numbers.device)
    found = torch.quantile(numbers, (counted + 0.5) / QUANTILES, dim=1)
    return found.permute(1, 2, 0).flatten(1)


def _correlations(numbers: Tensor) -> Tensor:
    deviation = numbers.std(dim=1, correction=0, keepdim=True)
    standard = (numbers - numbers.mean(dim=1, keepdim=True)) / (deviation + FLAT)
    products = standard.mT @ standard / numbers.shape[1]
    size = products.shape[1]
    row, column = torch.triu_indices(size, size, 1, device=numbers.device)
    return products[:, row, column]
