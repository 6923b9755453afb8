"""One training step of ContrastNet: forward, backward and Adam."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import clouds
from benchmarks.suite import Answer, Case, Entry, Goal, Suite, scaled
from pcclust.data.part_pairs import part_pairs
from pcclust.data.parts import draw_parts, random_planes
from pcclust.methods.contrastnet_presets import contrastnet_preset
from pcclust.nn import DGCNN, EdgeConv, PairClassifier
from pcclust.nn.cloud_pooling import CloudPooling
from pcclust.training.allocator import keep_freed_memory

Network = Callable[[Tensor, Tensor, Tensor], Tensor]


class Contrast(NamedTuple):
    """Parts ``(R, M, 3)`` of shapes, their Q pairs, and what tells which are of one object."""

    parts: Tensor
    left: Tensor
    right: Tensor
    same: Tensor
    network: PairClassifier

    def __str__(self) -> str:
        """Names the sizes."""
        count, size, _ = self.parts.shape
        branches = "one encoder" if self.network.other is None else "an encoder a side"
        return f"{count} parts of {size:,}, {len(self.left)} pairs, {branches}"


def ours(contrast: Contrast, threads: int) -> Entry:
    """pcclust.nn.PairClassifier, which encodes each part once."""
    network = deepcopy(contrast.network)
    return training(network, contrast, network)


def textbook(contrast: Contrast, threads: int) -> Entry:
    """Our weights in the official code's way: edges are held, and both parts of pairs encoded."""
    network = deepcopy(contrast.network)
    first, second = network.encoder, network.other or network.encoder
    assert isinstance(first, DGCNN)
    assert isinstance(second, DGCNN)

    def scores(parts: Tensor, left: Tensor, right: Tensor) -> Tensor:
        features = [encoded(first, parts[left]), encoded(second, parts[right])]
        answer: Tensor = network.head(F.linear(torch.cat(features, dim=1), network.first.weight))
        return answer

    return training(network, contrast, scores)


def encoded(network: DGCNN, parts: Tensor) -> Tensor:
    """Returns ``(R, C)`` from ``(R, M, 3)`` by the weights of ``network``, with all edges held."""
    x, outputs = parts, []
    edges, transform = network.input_edges, network.input_transform
    if edges is not None and transform is not None:
        hidden = rows(transform.points, convolved(edges, x, network.k))
        matrices = transform.matrix(transform.hidden(pooled(transform.pooling, hidden)))
        x = x @ matrices.view(-1, 3, 3)
    for layer in network.edge_convs:
        assert isinstance(layer, EdgeConv)
        x = convolved(layer, x, network.k)
        outputs.append(x)
    return pooled(network.pooling, torch.cat(outputs, dim=2))


def convolved(layer: EdgeConv, x: Tensor, k: int) -> Tensor:
    """Returns ``(R, M, out)`` from ``(R, M, C)``: the layer on pairs, as a 1×1 convolution."""
    squares = x.square().sum(dim=2)
    closeness = 2 * x @ x.transpose(1, 2) - squares[:, None, :] - squares[:, :, None]
    near = x[torch.arange(len(x))[:, None, None], closeness.topk(k, dim=-1).indices]
    own = x[:, :, None].expand_as(near)
    pairs = torch.cat([own, near - own], dim=-1).permute(0, 3, 1, 2).contiguous()
    features = normalised(layer.norm, F.conv2d(pairs, layer.linear.weight[:, :, None, None]))
    return F.leaky_relu(features, layer.negative_slope).amax(dim=-1).transpose(1, 2)


def pooled(layer: CloudPooling, x: Tensor) -> Tensor:
    """Returns ``(R, out)``, the maxima over all points of a layer on ``(R, M, C)``."""
    features = F.conv1d(x.transpose(1, 2), layer.linear.weight[:, :, None])
    return F.leaky_relu(normalised(layer.norm, features), layer.negative_slope).amax(dim=-1)


def rows(layers: nn.Sequential, x: Tensor) -> Tensor:
    """Applies layers of rows to ``(R, M, C)``."""
    y: Tensor = layers(x.flatten(0, 1))
    return y.view(*x.shape[:2], -1)


def normalised(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    """Applies BatchNorm to ``(R, C, …)``."""
    mean, variance = norm.running_mean, norm.running_var
    return F.batch_norm(x, mean, variance, norm.weight, norm.bias, norm.training, 0.1, norm.eps)


def training(network: PairClassifier, contrast: Contrast, run: Network) -> Entry:
    """Returns a training step, and the logits of evaluation before any step to compare."""
    keep_freed_memory()  # as every run of ours does; the textbook gains by it, too
    given = contrast.parts, contrast.left, contrast.right
    with torch.no_grad():
        network.eval()
        logits = run(*given)
    network.train()
    optimizer = torch.optim.Adam(network.parameters())

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(run(*given), contrast.same, label_smoothing=0.2)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return logits

    return Entry(step, read)


def read(logits: Tensor) -> Answer:
    """Returns the logits as numbers."""
    answer: Answer = logits.double().numpy()
    return answer


def contrast(shapes: int, shared: bool, scale: float) -> Contrast:
    """Returns a batch of the preset zhang2019, and its network after some batches."""
    config = contrastnet_preset("zhang2019", "").contrastnet
    assert config.part_points is not None
    generator = torch.Generator().manual_seed(0)
    points = clouds.shapes(shapes, 1024)
    planes = random_planes(points, config.num_planes, generator=generator)
    size = scaled(config.part_points, scale)
    parts = draw_parts(points, planes, num_points=size, generator=generator).points.flatten(0, 1)
    torch.manual_seed(0)
    encoders = [DGCNN(**config.model_kwargs) for _ in range(1 if shared else 2)]
    network = PairClassifier(*encoders)
    left, right, same = part_pairs(shapes)
    with torch.no_grad():
        for _ in range(10):  # so that running statistics are those of such parts
            network(parts, left, right)
    return Contrast(parts, left, right, same, network)


GOAL = Goal(at_least=8, aim=12)
SUITE = Suite(
    title="A training step of ContrastNet",
    compared="logits of evaluation with the same weights",
    cases=(
        Case(partial(contrast, 14, False), GOAL, note="the preset zhang2019"),
        Case(partial(contrast, 14, True), GOAL, note="the preset zhang2019, shared"),
    ),
    contestants={"pcclust": ours, "textbook torch": textbook},
    reference="textbook torch",
    tolerance=1e-3,
)
