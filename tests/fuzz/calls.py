"""Random calls of every operator: right ones, and what a careless caller makes of them."""

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import pcclust.ops.edge_layer
import pcclust.ops.group_max
import pcclust.ops.group_moments
import pcclust.ops.kmeans_assign
import pcclust.ops.kmeans_plusplus
import pcclust.ops.linear_pool
import pcclust.ops.row_layer
import pcclust.ops.scaled_leaky
import pcclust.ops.segment_pool  # noqa: F401  (each declares its operators)

Call = tuple[str, list[Any]]
DTYPES = (torch.float32, torch.float64)
OTHER_DTYPES = (torch.float16, torch.int32, torch.int64, torch.bool, torch.complex64, torch.uint8)
INTEGERS = (-(2**63), -1, 0, 1, 2, 5, 40, 2**40, 2**62, 2**63 - 1)
FLOATS = (float("nan"), float("inf"), -float("inf"), -1.0, 0.0, 1e-30, 1e30)


class Draw(random.Random):
    """Draws calls.

    Attributes:
        scale: how many times the points that clouds have in calls that are quickly made.
    """

    scale = 1


def right_call(draw: Draw, name: str | None = None) -> Call:
    """Returns the name of an operator, drawn where None, and arguments that fit together."""
    name = name or draw.choice(sorted(OPERATORS))
    torch.manual_seed(draw.getrandbits(60))
    return name, OPERATORS[name](draw)


def wrong_call(draw: Draw, name: str | None = None) -> Call:
    """Returns a call of which one to three arguments were changed, and may not fit any more."""
    name, arguments = right_call(draw, name)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(arguments))
        arguments[at] = changed(arguments[at], draw)
    return name, arguments


def rows_of(
    draw: Draw, dims: int | None = None, some: tuple[int, ...] = (0, 1, 3, 17, 40)
) -> list[Any]:
    """Returns points, starts and sizes: packed, with gaps, or with empty clouds."""
    sizes = [draw.choice(some) * draw.scale for _ in range(draw.randint(1, 4))]
    starts, end = [], 0
    for size in sizes:
        end += draw.choice((0, 0, 2))
        starts.append(end)
        end += size
    shape = (end + draw.choice((0, 0, 3)), dims or draw.choice((1, 2, 3, 5, 12)))
    points = torch.randn(shape, dtype=draw.choice(DTYPES))
    if draw.random() < 0.3:
        points = (points * 2).round()
    return [points, torch.tensor(starts), torch.tensor(sizes)]


def search(draw: Draw, dims: int | None = None) -> tuple[list[Any], list[Any]]:
    """Returns the clouds of a search and its queries."""
    clouds = rows_of(draw, dims)
    if draw.random() < 0.5:
        return clouds, [None, None, None]
    sizes = torch.tensor([draw.choice((0, 1, 5, 20)) * draw.scale for _ in clouds[1]])
    rows = torch.randn(int(sizes.sum()), clouds[0].shape[1], dtype=clouds[0].dtype)
    return clouds, [rows, sizes.cumsum(0) - sizes, sizes]


def knn(draw: Draw) -> list[Any]:
    clouds, queries = search(draw)
    exclude = queries[0] is None and draw.random() < 0.5
    return [*clouds, *queries, draw.random() < 0.5, draw.choice((1, 3, 17, 70)), exclude]


def ball_query(draw: Draw) -> list[Any]:
    *arguments, k, exclude = knn(draw)
    return [*arguments, draw.choice((0.0, 0.5, 2.0, float("inf"))), k, exclude]


def index_build(draw: Draw) -> list[Any]:
    return rows_of(draw, draw.choice((1, 2, 3)))


def index_search(draw: Draw) -> list[Any]:
    clouds, queries = search(draw, draw.choice((1, 2, 3)))
    index = torch.ops.pcclust.index_build(*clouds)
    exclude = queries[0] is None and draw.random() < 0.5
    rest = [draw.random() < 0.5, draw.choice((0.5, float("inf"))), draw.choice((1, 3, 17)), exclude]
    return [*clouds, index, *queries, *rest]


def farthest_point_sample(draw: Draw) -> list[Any]:
    clouds = rows_of(draw)
    sizes = [size for size in clouds[2].tolist() if size]
    first = torch.tensor([draw.randrange(max(size, 1)) for size in clouds[2].tolist()])
    return [*clouds, first, draw.random() < 0.5, draw.randint(1, min(sizes, default=3))]


def rri(draw: Draw) -> list[Any]:
    clouds = rows_of(draw, 3, some=(0, 2, 3, 17, 40))
    sizes = [size for size in clouds[2].tolist() if size]
    centers = torch.randn(len(clouds[1]), 3, dtype=clouds[0].dtype)
    k = draw.randint(1, max(1, min(sizes, default=3) - 1))
    return [*clouds, draw.choice((None, centers)), k]


def ward_linkage(draw: Draw) -> list[Any]:
    return rows_of(draw, some=(1, 3, 17, 40))


def ward_cut(draw: Draw) -> list[Any]:
    clouds = rows_of(draw, some=(1, 3, 17, 40))
    linkage = torch.ops.pcclust.ward_linkage(*clouds)
    smallest = int(clouds[2].min())
    return [linkage, *clouds[1:], [draw.randint(1, smallest) for _ in range(draw.randint(0, 3))]]


def edge_reduce(draw: Draw) -> list[Any]:
    rows, starts, sizes = rows_of(draw, draw.choice((1, 3, 8, 20)))
    projected = torch.randn(rows.shape[0], 2, rows.shape[1], dtype=rows.dtype)
    neighbors = torch.zeros(rows.shape[0], draw.choice((1, 4)), dtype=torch.int64)
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        if size:
            neighbors[start : start + size].random_(size)
    sign = torch.randint(-1, 2, (rows.shape[1],)).to(rows.dtype)
    return [projected, neighbors, starts, sizes, sign, draw.random() < 0.5]


def edge_reduce_backward(draw: Draw) -> list[Any]:
    *arguments, sign, moments = edge_reduce(draw)
    maxima, argmax, sums = torch.ops.pcclust.edge_reduce(*arguments, sign, moments)
    return [torch.randn_like(maxima), torch.randn_like(sums), *arguments, argmax, moments]


def layer(draw: Draw) -> list[Tensor]:
    groups, k, inputs, hidden = (draw.choice(some) for some in ((0, 1, 50), (1, 9), (1, 4), (1, 8)))
    shapes = (
        (groups * draw.scale, k, inputs),
        (hidden, inputs),
        (hidden,),
        (draw.choice((1, 17)), hidden),
    )
    dtype = draw.choice(DTYPES)
    return [torch.randn(shape, dtype=dtype) for shape in shapes]


def group_moments(draw: Draw) -> list[Any]:
    return [*layer(draw)[:3], draw.choice((0.0, 0.2))]


def group_moments_backward(draw: Draw) -> list[Any]:
    arguments = group_moments(draw)
    gradients = [torch.randn_like(sums) for sums in torch.ops.pcclust.group_moments(*arguments)]
    return [*gradients, *arguments, draw.random() < 0.5]


def group_max(draw: Draw) -> list[Any]:
    return [*layer(draw), draw.choice((0.0, 0.2))]


def group_max_backward(draw: Draw) -> list[Any]:
    arguments = group_max(draw)
    maxima, argmax = torch.ops.pcclust.group_max(*arguments)
    return [torch.randn_like(maxima), argmax, *arguments, draw.random() < 0.5]


def parts_of(draw: Draw, count: int, dtype: torch.dtype) -> list[Tensor]:
    widths = [draw.choice((0, 1, 3, 17)) for _ in range(draw.randint(1, 3))]
    return [torch.randn(count, width, dtype=dtype) for width in widths]


def row_layer(draw: Draw) -> list[Any]:
    dtype = draw.choice(DTYPES)
    count, outputs = draw.choice((0, 1, 40)) * draw.scale, draw.choice((0, 1, 5, 70))
    parts = parts_of(draw, count, dtype)
    weight = torch.randn(outputs, sum(part.shape[1] for part in parts), dtype=dtype)
    half = dtype == torch.float32 and draw.random() < 0.5
    return [parts, weight, torch.randn(outputs, dtype=dtype), draw.choice((0.0, 0.2)), half]


def linear_pool(draw: Draw) -> list[Any]:
    rows, starts, sizes = rows_of(draw)
    _, weight, bias, slope, half = row_layer(draw)
    parts = parts_of(draw, len(rows), bias.dtype)
    weight = torch.randn(len(bias), sum(part.shape[1] for part in parts), dtype=bias.dtype)
    members = torch.randperm(len(rows)) if draw.random() < 0.5 else None
    return [parts, weight, bias, members, starts, sizes, slope, half]


def edge_layer(draw: Draw) -> list[Any]:
    projected, neighbors, starts, sizes, *_ = edge_reduce(draw)
    _, _, bias, slope, _ = row_layer(draw)
    parts = parts_of(draw, len(projected), bias.dtype)
    inputs = sum(part.shape[1] for part in parts)
    weight = torch.randn(2 * len(bias), inputs, dtype=bias.dtype)
    return [parts, weight, bias, neighbors, starts, sizes, slope]


def row_moments(draw: Draw) -> list[Any]:
    return [
        torch.randn(draw.choice((0, 1, 90)), draw.choice((0, 1, 33)), dtype=draw.choice(DTYPES))
    ]


def segment_pool(draw: Draw) -> list[Any]:
    values, starts, sizes = rows_of(draw)
    scale, shift = torch.randn(2, values.shape[1], dtype=values.dtype)
    members = torch.randperm(len(values)) if draw.random() < 0.5 else None
    return [values, scale, shift, members, starts, sizes, draw.choice((0.0, 0.2))]


def segment_pull(draw: Draw) -> list[Any]:
    *given, slope = segment_pool(draw)
    maxima, argmax, means, *_ = torch.ops.pcclust.segment_pool(*given, slope)
    return [*given, argmax, maxima, means, *torch.randn(2, *given[1].shape).to(given[1]), slope]


def segment_sums(draw: Draw) -> list[Any]:
    *given, slope = segment_pool(draw)
    maxima, argmax, *_ = torch.ops.pcclust.segment_pool(*given, slope)
    return [*given, argmax, maxima, slope]


def covered_pull(draw: Draw) -> list[Any]:
    while True:
        given = segment_pull(draw)
        if int(given[5].sum()) == len(given[0]):
            return given


def scaled_leaky(draw: Draw) -> list[Any]:
    rows, channels = draw.choice((0, 1, 70, 1500)), draw.choice((0, 1, 16, 37))
    values = torch.randn(rows, channels, dtype=draw.choice(DTYPES))
    return [values, *torch.randn(2, channels).to(values), draw.choice((0.0, 0.2))]


def scaled_leaky_backward(draw: Draw) -> list[Any]:
    given = scaled_leaky(draw)
    return [torch.randn_like(given[0]), *given]


def kmeans_assign(draw: Draw) -> list[Any]:
    count, clusters, dims = (draw.choice(some) for some in ((0, 1, 70), (1, 5, 40), (1, 3, 33)))
    count, dtype = count * draw.scale, draw.choice(DTYPES)
    centers = torch.randn(clusters, dims, dtype=dtype)
    guess = draw.choice((None, torch.randint(0, clusters, (count,))))
    return [torch.randn(count, dims, dtype=dtype), centers, centers[0].clone(), guess]


def kmeans_update(draw: Draw) -> list[Any]:
    points, centers, _, _ = kmeans_assign(draw)
    weights = draw.choice((None, torch.rand(len(points), dtype=points.dtype)))
    return [points, weights, torch.randint(0, len(centers), (len(points),)), len(centers)]


def kmeans_plusplus(draw: Draw) -> list[Any]:
    points, weights, labels, clusters = kmeans_update(draw)
    if len(points) == 0:
        points, weights, labels = points.new_ones((1, points.shape[1])), None, labels.new_zeros(1)
    uniforms = torch.rand(draw.randint(0, 3), draw.randint(1, 4), dtype=torch.float64)
    distances = torch.rand(len(points), dtype=points.dtype)
    return [points, weights, points[0].clone(), uniforms, clusters, labels, distances]


OPERATORS: dict[str, Callable[[Draw], list[Any]]] = {
    function.__name__: function
    for function in (
        knn,
        ball_query,
        index_build,
        index_search,
        farthest_point_sample,
        rri,
        ward_linkage,
        ward_cut,
        edge_reduce,
        edge_reduce_backward,
        group_moments,
        group_moments_backward,
        group_max,
        group_max_backward,
        row_layer,
        linear_pool,
        edge_layer,
        row_moments,
        segment_pool,
        segment_sums,
        segment_pull,
        scaled_leaky,
        scaled_leaky_backward,
        kmeans_assign,
        kmeans_update,
        kmeans_plusplus,
    )
} | {
    "edge_reduce_backward_": edge_reduce_backward,
    "scaled_leaky_backward_": scaled_leaky_backward,
    "segment_pull_": covered_pull,
    "rri_links": rri,
}


def changed(value: Any, draw: Draw) -> Any:
    """Returns something else of the type that the schema has there."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return draw.choice(INTEGERS)
    if isinstance(value, float):
        return draw.choice(FLOATS)
    if isinstance(value, list):
        return changed_list(value, draw)
    if value is None:
        return torch.randint(-1, 5, (draw.randint(0, 5),))
    try:
        return draw.choice(CHANGES)(value, draw)
    except (RuntimeError, IndexError):  # not everything can be done to a tensor changed before
        return value


def changed_list(values: list[Any], draw: Draw) -> list[Any]:
    """Returns a list with a number more, or a tensor changed or left out."""
    if not any(isinstance(value, Tensor) for value in values):
        return [*values, draw.choice(INTEGERS)]
    at = draw.randrange(len(values))
    other = [] if draw.random() < 0.2 else [changed(values[at], draw)]
    return [*values[:at], *other, *values[at + 1 :]]


def with_values(tensor: Tensor, draw: Draw) -> Tensor:
    """Returns a copy in which some numbers are what they should not be."""
    tensor = tensor.clone()
    if tensor.numel() == 0 or tensor.dtype == torch.bool:
        return tensor
    flat = tensor.view(-1)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(flat))
        if tensor.is_floating_point():
            flat[at] = draw.choice(FLOATS)
        elif tensor.dtype in (torch.int64, torch.int32):
            info = torch.iinfo(tensor.dtype)
            some = (info.min, info.max, -1, 0, 1, len(flat), draw.randint(-3, 60))
            flat[at] = draw.choice(some)
        else:
            flat[at] = draw.randrange(2)
    return tensor


def strided(tensor: Tensor, draw: Draw) -> Tensor:
    """Returns the same numbers in another memory layout."""
    if tensor.dim() < 2:
        return torch.stack([tensor, tensor], dim=-1)[..., 0]
    return tensor.transpose(0, 1).contiguous().transpose(0, 1)


CHANGES: tuple[Callable[[Tensor, Draw], Tensor], ...] = (
    with_values,
    with_values,
    with_values,
    strided,
    lambda t, draw: t.to(draw.choice(OTHER_DTYPES)),
    lambda t, draw: t.double() if t.dtype == torch.float32 else t.float(),
    lambda t, draw: t[:0],
    lambda t, draw: t[..., :0],
    lambda t, draw: t[:-1],
    lambda t, draw: torch.cat([t, t[-1:]]),
    lambda t, draw: t[None],
    lambda t, draw: t.flatten(),
    lambda t, draw: t.new_zeros(()),
    lambda t, draw: t.to("meta"),
    lambda t, draw: t.clone().requires_grad_() if t.is_floating_point() else t.clone(),
    lambda t, draw: t.to_sparse(),
    lambda t, draw: t.flip(0),
)
