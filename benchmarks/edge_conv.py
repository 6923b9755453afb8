"""EdgeConv, forward and backward, in training mode."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

import pcclust
import pcclust.nn
from benchmarks import clouds
from benchmarks.suite import Answer, Case, Entry, Goal, Suite, usual_difference

SLOPE = 0.2  # of DGCNN's LeakyReLU
Layer = Callable[[Tensor], Tensor]


class Convolution(NamedTuple):
    """Convolve ``(B, N, C)`` features over ``(B, N, k)`` neighbours, then differentiate.

    ``weight`` is ``(out, 2C)`` for [x_i, x_j − x_i], ``gradient`` what comes back.
    """

    x: Tensor
    indices: Tensor
    weight: Tensor
    gradient: Tensor

    def __str__(self) -> str:
        """Names the sizes."""
        batch, size, channels = self.x.shape
        out, k = self.weight.shape[0], self.indices.shape[2]
        return f"{batch}×{size:,}, k={k}, {channels}→{out}"


class Textbook(nn.Module):
    """The layer as published: it holds the features of every edge."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        out, doubled = weight.shape
        self.convolution = nn.Conv2d(doubled, out, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(out)
        load(self.convolution.weight, weight)

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        """Returns ``(B, N, out)`` from ``(B, N, C)`` and ``(B, N, k)``."""
        batch = torch.arange(len(x))[:, None, None]
        near = x[batch, indices]
        center = x[:, :, None].expand_as(near)
        edges = torch.cat([center, near - center], dim=-1).permute(0, 3, 1, 2)
        out = nn.functional.leaky_relu(self.norm(self.convolution(edges)), SLOPE)
        return out.amax(dim=-1).transpose(1, 2)


def load(parameter: Tensor, value: Tensor) -> None:
    """Copies ``value`` into a parameter of as many elements."""
    with torch.no_grad():
        parameter.copy_(value.reshape(parameter.shape))


def ours(problem: Convolution, threads: int) -> Entry:
    """pcclust.nn.EdgeConv."""
    out, doubled = problem.weight.shape
    layer = pcclust.nn.EdgeConv(doubled // 2, out)
    weight = next(each for each in layer.parameters() if each.numel() == problem.weight.numel())
    load(weight, problem.weight)
    return trained(problem, lambda x: layer(x, problem.indices), layer)


def textbook(problem: Convolution, threads: int) -> Entry:
    """The textbook layer in torch."""
    layer = Textbook(problem.weight)
    return trained(problem, lambda x: layer(x, problem.indices), layer)


def torch_geometric(problem: Convolution, threads: int) -> Entry:
    """torch_geometric.nn.EdgeConv on one graph of all clouds."""
    from torch_geometric.nn import EdgeConv

    out, doubled = problem.weight.shape
    linear = nn.Linear(doubled, out, bias=False)
    layer = EdgeConv(nn.Sequential(linear, nn.BatchNorm1d(out), nn.LeakyReLU(SLOPE)), aggr="max")
    load(linear.weight, problem.weight)  # the layer has drawn its own
    batch, size, k = problem.indices.shape
    first = size * torch.arange(batch)[:, None, None]
    centers = torch.arange(batch * size).repeat_interleave(k)
    edges = torch.stack([(problem.indices + first).flatten(), centers])
    return trained(problem, lambda x: layer(x.flatten(0, 1), edges).view(batch, size, out), layer)


def trained(problem: Convolution, layer: Layer, module: nn.Module) -> Entry:
    """Returns the entry of one training step of a layer: forward, and all gradients."""
    parameters = list(module.parameters())

    def step() -> tuple[Tensor, ...]:
        x = problem.x.detach().requires_grad_()
        y = layer(x)
        return y.detach(), *torch.autograd.grad(y, [x, *parameters], problem.gradient)

    return Entry(step, read)


def read(results: tuple[Tensor, ...]) -> Answer:
    """Returns the output and the gradient of the features, each relative to its largest entry."""
    parts = [each.double().flatten() for each in results[:2]]
    answer: Answer = torch.cat([part / part.abs().max() for part in parts]).numpy()
    return answer


def convolution(
    batch: int, size: int, k: int, channels: int, out: int, scale: float
) -> Convolution:
    """Returns a training step on random features over the neighbours of object-like clouds."""
    points = clouds.shapes(batch, size, scale)
    indices = pcclust.knn(points, k).indices
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(*points.shape[:2], channels, generator=generator)
    weight = torch.randn(out, 2 * channels, generator=generator) / (2 * channels) ** 0.5
    gradient = torch.randn(*points.shape[:2], out, generator=generator)
    return Convolution(x, indices, weight, gradient)


GOAL = Goal(at_least=10, aim=25)
SUITE = Suite(
    title="EdgeConv, forward and backward",
    compared="output and gradient of the features",
    cases=(
        Case(partial(convolution, 8, 1024, 20, 64, 64), GOAL),
        Case(partial(convolution, 8, 1024, 20, 64, 128), GOAL),
    ),
    contestants={"pcclust": ours, "textbook torch": textbook, "PyG": torch_geometric},
    reference="textbook torch",
    # Where two neighbours have the same maximum, rounding decides which one gets the gradient.
    difference=usual_difference,
    tolerance=1e-4,
)
