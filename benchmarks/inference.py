"""Describing shapes by an encoder, as `pcclust embed` does."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

import pcclust
from benchmarks import clouds
from benchmarks.suite import Answer, Case, Entry, Goal, Suite, Unfit, scaled, usual_difference
from benchmarks.training import Textbook
from pcclust.nn import DGCNN, Classifier
from pcclust.nn.weights_source import DEFAULT
from pcclust.training.allocator import keep_freed_memory


class Shapes(NamedTuple):
    """Clouds ``(B, N, 3)`` and who describes them.

    ``encoder`` makes a backbone; ``textbook`` gives the same vectors by layers as published, or
    None.
    """

    points: Tensor
    name: str
    encoder: Callable[[], nn.Module]
    textbook: Callable[[], nn.Module] | None = None

    def __str__(self) -> str:
        """Names the sizes."""
        batch, size, _ = self.points.shape
        return f"{self.name}, {batch}×{size:,}"


def fused(shapes: Shapes, threads: int) -> Entry:
    """pcclust.embed, whose layers are one operator each."""
    return _embedding(shapes, shapes.encoder())


def half(shapes: Shapes, threads: int) -> Entry:
    """The same with products of bfloat16."""
    encoder = shapes.encoder()
    return Entry(lambda: pcclust.embed(encoder, shapes.points, precision="bfloat16"))


def layer_by_layer(shapes: Shapes, threads: int) -> Entry:
    """The layers as they are in training, each step an operator, in evaluation mode."""
    encoder = shapes.encoder().eval().requires_grad_(False)

    def run() -> Tensor:
        with torch.enable_grad():
            described: Tensor = encoder(shapes.points)
        return described

    return Entry(run, _read)


def textbook(shapes: Shapes, threads: int) -> Entry:
    """The network as published, with our weights: all distances and all edges are held."""
    if shapes.textbook is None:
        raise Unfit("only DGCNN has a textbook here")
    return _embedding(shapes, shapes.textbook())


def _embedding(shapes: Shapes, encoder: nn.Module) -> Entry:
    keep_freed_memory()  # as `pcclust embed` does; the others gain by it, too
    return Entry(lambda: pcclust.embed(encoder, shapes.points), _read)


def _read(features: Tensor) -> Answer:
    answer: Answer = features.detach().double().numpy()
    return answer


def _shipped() -> nn.Module:
    return pcclust.load(DEFAULT)


def _dgcnn() -> DGCNN:
    torch.manual_seed(0)
    network = DGCNN()
    with torch.no_grad():
        network.train()(clouds.shapes(4, 256, 1.0))  # so that BatchNorms have seen something
    return network.eval()


class _TextbookFeatures(nn.Module):
    """The textbook DGCNN up to its pooled features."""

    def __init__(self) -> None:
        super().__init__()
        ours, self.network = Classifier(DGCNN(), 2), Textbook(20)
        ours.backbone.load_state_dict(_dgcnn().state_dict())
        self.network.head = nn.Sequential()  # which does nothing
        given = list(ours.backbone.state_dict().values())
        for own, value in zip(self.network.state_dict().values(), given, strict=True):
            own.copy_(value.reshape(own.shape))

    def forward(self, points: Tensor) -> Tensor:
        described: Tensor = self.network(points)
        return described


def shipped_case(scale: float) -> Shapes:
    """Returns shapes for the encoder that comes with pcclust."""
    points = clouds.shapes(32, scaled(1024, scale, at_least=256), 1.0)
    return Shapes(points, "ClusterNet that comes with pcclust", _shipped)


def dgcnn_case(scale: float) -> Shapes:
    """Returns shapes for a DGCNN."""
    points = clouds.shapes(32, scaled(1024, scale), 1.0)
    return Shapes(points, "DGCNN", _dgcnn, _TextbookFeatures)


SUITE = Suite(
    title="Describing shapes",
    compared="features",
    cases=(
        Case(shipped_case, Goal(1.2, aim=1.5, against="pcclust, layer by layer")),
        Case(dgcnn_case, Goal(4, aim=8, against="textbook DGCNN")),
    ),
    contestants={
        "pcclust": fused,
        "pcclust, bfloat16": half,
        "pcclust, layer by layer": layer_by_layer,
        "textbook DGCNN": textbook,
    },
    reference="pcclust, layer by layer",
    difference=usual_difference,  # rounding chooses among near-equal neighbours of DGCNN's features
)
