"""What `benchmarks.gpu_check` times on a GPU: every operator, its rivals, and what it must cost."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

import pcclust
from pcclust.ops.edge_layer import edge_layer
from pcclust.ops.edge_reduce import edge_reduce
from pcclust.ops.group_max import group_max
from pcclust.ops.group_moments import group_moments
from pcclust.ops.kmeans_assign import kmeans_assign
from pcclust.ops.linear_pool import linear_pool
from pcclust.ops.norm_pool import norm_pool
from pcclust.ops.row_layer import row_layer
from pcclust.ops.segments import Segments

Run = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """One operator on one problem.

    Attributes:
        name: of the operator.
        sizes: of the problem, in words.
        inputs: what the operator reads.
        run: the operator on its inputs, wherever they are.
        operations: how many floating operations any exact way must make at least.
        peers: other implementations of the same on the same inputs.
    """

    name: str
    sizes: str
    inputs: tuple[Tensor, ...]
    run: Callable[..., Any]
    operations: float
    peers: dict[str, Callable[..., Any]] = field(default_factory=dict)


def cases() -> list[Case]:
    """Returns all cases, their inputs on the CPU."""
    torch.manual_seed(0)
    batch, large = torch.rand(32, 1024, 3), torch.rand(200_000, 3)
    return [
        knn("32 × 1024, k = 20", batch, 20),
        knn("200,000, k = 16", large, 16),
        ball_query("32 × 1024, 32 within 0.2", batch, 0.2, 32),
        farthest_point_sample("32 × 1024, 256 of each", batch, 256),
        rri("32 × 1024, k = 20", batch, 20),
        assignment("100,000 × 64 to 128 centers", torch.randn(100_000, 64), torch.randn(128, 64)),
        *edge_convolution("32 × 1024, k = 20, 64 channels", batch, 20, 64),
        *pooling("32 × 1024 rows, 1024 channels", 32, 1024, 1024),
        *layers("32 × 1024 rows, 128 to 256 channels", batch, (128, 256)),
        edges_in_evaluation("32 × 1024, k = 20, 128 to 128 channels", batch, 20, (128, 128)),
        *perceptron("32,768 groups of 20, 4 to 32 to 64 channels", 32_768, 20, (4, 32, 64)),
    ]


def knn(sizes: str, points: Tensor, k: int) -> Case:
    """K nearest neighbours; at least the k distances that are returned."""

    def pytorch3d(points: Tensor) -> Any:  # noqa: ANN401
        from pytorch3d.ops import knn_points

        rows = points.reshape(-1, *points.shape[-2:])
        return knn_points(rows, rows, K=k)

    operations = 8.0 * points.shape[:-1].numel() * k
    run = lambda points: pcclust.knn(points, k)  # noqa: E731
    return Case("knn", sizes, (points,), run, operations, {"pytorch3d": pytorch3d})


def ball_query(sizes: str, points: Tensor, radius: float, most: int) -> Case:
    """Neighbours within a radius."""

    def pytorch3d(points: Tensor) -> Any:  # noqa: ANN401
        from pytorch3d.ops import ball_query

        return ball_query(points, points, K=most, radius=radius, return_nn=False)

    def run(points: Tensor) -> Any:  # noqa: ANN401
        return pcclust.ball_query(points, radius, most)

    operations = 8.0 * points.shape[:-1].numel() * most
    return Case("ball_query", sizes, (points,), run, operations, {"pytorch3d": pytorch3d})


def farthest_point_sample(sizes: str, points: Tensor, count: int) -> Case:
    """Farthest point sampling: every point meets every sample."""

    def pytorch3d(points: Tensor) -> Any:  # noqa: ANN401
        from pytorch3d.ops import sample_farthest_points

        return sample_farthest_points(points, K=count)

    def run(points: Tensor) -> Any:  # noqa: ANN401
        return pcclust.farthest_point_sample(points, count)

    operations = 9.0 * points.shape[:-1].numel() * count
    return Case(
        "farthest_point_sample", sizes, (points,), run, operations, {"pytorch3d": pytorch3d}
    )


def rri(sizes: str, points: Tensor, k: int) -> Case:
    """RRI features: some 60 operations a neighbour, with its angles."""
    operations = 60.0 * points.shape[:-1].numel() * k
    return Case("rri", sizes, (points,), lambda points: pcclust.rri(points, k), operations)


def assignment(sizes: str, points: Tensor, centers: Tensor) -> Case:
    """The assignment step of k-means; plain torch is a matrix product and argmin."""

    def cdist(points: Tensor, centers: Tensor, shift: Tensor) -> Tensor:
        return torch.cdist(points, centers).argmin(dim=1)

    inputs = (points, centers, points.mean(dim=0))
    operations = 2.0 * points.numel() * centers.shape[0]
    return Case("kmeans_assign", sizes, inputs, kmeans_assign, operations, {"cdist": cdist})


def edge_convolution(sizes: str, points: Tensor, k: int, channels: int) -> list[Case]:
    """The reduction over edges, forward and with its backward; textbook: all edges in memory."""
    batch, count = points.shape[:2]
    neighbors = pcclust.knn(points, k).indices.view(-1, k)
    starts = torch.arange(batch) * count
    tables = (neighbors, starts, torch.full_like(starts, count), torch.ones(channels))
    projected = torch.randn(batch * count, 2, channels, requires_grad=True)

    def forward(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        projected, neighbors, starts, sizes, sign = inputs
        return edge_reduce(projected, neighbors, starts, sizes, sign, True)

    def textbook(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        projected, neighbors, starts, *_ = inputs
        rows = neighbors + starts.repeat_interleave(count)[:, None]
        edges = projected[:, :1] + projected[:, 1][rows]
        sums = torch.stack([edges.double().sum((0, 1)), edges.double().square().sum((0, 1))])
        return edges.amax(dim=1), sums

    edges = float(batch * count * k * channels)
    inputs = (projected, *tables)
    return [
        Case("edge_reduce", sizes, inputs, forward, 5 * edges, {"textbook": textbook}),
        Case(
            "edge_reduce and backward",
            sizes,
            inputs,
            gradient(forward),
            13 * edges,
            {"textbook": gradient(textbook)},
        ),
    ]


def pooling(sizes: str, clouds: int, rows: int, channels: int) -> list[Case]:
    """BatchNorm, LeakyReLU and pooling of clouds; textbook: one after the other."""
    values = torch.randn(clouds * rows, channels, requires_grad=True)
    starts = torch.arange(clouds) * rows
    inputs = (values, torch.rand(channels), torch.rand(channels), starts)

    def forward(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        values, weight, bias, starts = inputs
        segments = Segments(None, starts, torch.full_like(starts, rows))
        return norm_pool(values, weight, bias, 1e-5, segments, 0.2)[:2]

    def textbook(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        values, weight, bias, _ = inputs
        y = F.leaky_relu(F.batch_norm(values, None, None, weight, bias, training=True), 0.2)
        y = y.view(clouds, rows, channels)
        return y.amax(dim=1), y.mean(dim=1)

    peers = {"textbook": textbook}
    pulled = {"textbook": gradient(textbook)}
    return [
        Case("norm_pool", sizes, inputs, forward, 12.0 * values.numel(), peers),
        Case(
            "norm_pool and backward",
            sizes,
            inputs,
            gradient(forward),
            24.0 * values.numel(),
            pulled,
        ),
    ]


def layers(sizes: str, points: Tensor, channels: tuple[int, int]) -> list[Case]:
    """The layers of evaluation; textbook: product, activation and pooling one after the other."""
    batch, count = points.shape[:2]
    inputs, outputs = channels
    starts = torch.arange(batch) * count
    rows, weight = torch.randn(batch * count, inputs), torch.randn(outputs, inputs)
    given = (rows, weight, torch.randn(outputs), starts, torch.full_like(starts, count))

    def pool(rows: Tensor, weight: Tensor, bias: Tensor, *tables: Tensor) -> tuple[Tensor, Tensor]:
        return linear_pool([rows], weight, bias, Segments(None, *tables), 0.2)

    def textbook(*given: Tensor) -> tuple[Tensor, Tensor]:
        rows, weight, bias, *_ = given
        y = F.leaky_relu(F.linear(rows, weight, bias), 0.2).view(batch, count, -1)
        return y.amax(dim=1), y.mean(dim=1)

    def layer(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return row_layer([rows], weight, bias, 0.2)

    plain = {"textbook": lambda *given: F.leaky_relu(F.linear(*given), 0.2)}
    products = 2.0 * rows.numel() * outputs
    return [
        Case("row_layer", sizes, given[:3], layer, products, plain),
        Case("linear_pool", sizes, given, pool, products, {"textbook": textbook}),
    ]


def edges_in_evaluation(sizes: str, points: Tensor, k: int, channels: tuple[int, int]) -> Case:
    """An EdgeConv in evaluation; textbook: product, gathered neighbours, maximum, activation."""
    batch, count = points.shape[:2]
    inputs, outputs = channels
    starts = torch.arange(batch) * count
    neighbors = pcclust.knn(points, k).indices.view(-1, k)
    rows, weight = torch.randn(batch * count, inputs), torch.randn(2 * outputs, inputs)
    given = (rows, weight, torch.randn(outputs), neighbors, starts, torch.full_like(starts, count))

    def layer(*given: Tensor) -> Tensor:
        rows, weight, bias, *graph = given
        return edge_layer([rows], weight, bias, graph[0], graph[1], graph[2], 0.2)

    def textbook(*given: Tensor) -> Tensor:
        rows, weight, bias, neighbors, starts, _ = given
        u, v = F.linear(rows, weight).chunk(2, dim=1)
        near = v[neighbors + starts.repeat_interleave(count)[:, None]].amax(dim=1)
        return F.leaky_relu(u + near + bias, 0.2)

    operations = 4.0 * rows.numel() * outputs + 2.0 * rows.shape[0] * k * outputs
    return Case("edge_layer", sizes, given, layer, operations, {"textbook": textbook})


def perceptron(sizes: str, groups: int, k: int, channels: tuple[int, int, int]) -> list[Case]:
    """Two layers on members of groups, their maximum and moments; textbook: all of it in memory."""
    inputs, hidden, outputs = channels
    features = torch.randn(groups, k, inputs)
    first = (torch.randn(hidden, inputs, requires_grad=True), torch.randn(hidden))
    given = (first[0], features, first[1], torch.randn(outputs, hidden))

    def largest(*given: Tensor) -> tuple[Tensor, Tensor]:
        weight, features, bias, out_weight = given
        maxima = group_max(features, weight, bias, out_weight, 0.2)
        return maxima, maxima

    def largest_textbook(*given: Tensor) -> tuple[Tensor, Tensor]:
        weight, features, bias, out_weight = given
        maxima = (F.leaky_relu(F.linear(features, weight, bias), 0.2) @ out_weight.T).amax(dim=1)
        return maxima, maxima

    def moments(*given: Tensor) -> tuple[Tensor, Tensor]:
        weight, features, bias, _ = given
        return group_moments(features, weight, bias, 0.2)

    def moments_textbook(*given: Tensor) -> tuple[Tensor, Tensor]:
        weight, features, bias, _ = given
        h = F.leaky_relu(F.linear(features, weight, bias), 0.2).flatten(0, 1)
        return h.double().sum(dim=0), (h.T @ h).double()

    products = 2.0 * groups * k * hidden
    found = []
    for name, run, peer, width in (
        ("group_max", largest, largest_textbook, inputs + outputs),
        ("group_moments", moments, moments_textbook, inputs + hidden),
    ):
        peers = {"textbook": peer}
        found.append(Case(name, sizes, given, run, products * width, peers))
        pulled = {"textbook": gradient(peer)}
        # Backward: the hidden layer once more, its gradient, and that of the first weight.
        operations = products * (width + 2 * inputs + hidden)
        found.append(Case(f"{name} and backward", sizes, given, gradient(run), operations, pulled))
    return found


def gradient(reduce: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., Tensor]:
    """Returns what makes both results and the gradient of the first input."""

    def run(*inputs: Tensor) -> Tensor:
        first, second = reduce(*inputs)
        (found,) = torch.autograd.grad(first.sum() + second.sum(), inputs[0])
        return found

    return run
