"""One training step of a classifier: forward, backward and Adam."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks import clouds
from benchmarks.suite import Answer, Case, Entry, Goal, Suite, scaled
from pcclust.nn import DGCNN, Classifier, ClusterNet, PointNet, ward_hierarchy
from pcclust.training.allocator import keep_freed_memory

CLASSES = 40
SLOPE = 0.2  # of DGCNN's LeakyReLU


class Lesson(NamedTuple):
    """Clouds ``(B, N, 3)``, their classes ``(B,)``, and the Ward clusters that a cache would hold.

    ``weights`` are those of a classifier on DGCNN with ``k`` neighbours.
    """

    points: Tensor
    classes: Tensor
    clusters: Tensor
    weights: dict[str, Tensor]
    k: int

    def __str__(self) -> str:
        """Names the sizes."""
        batch, size, _ = self.points.shape
        return f"{batch}×{size:,}, k={self.k}"


class Textbook(nn.Module):
    """DGCNN as published: all distances and the features of all edges are held."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k
        widths = ((6, 64), (128, 64), (128, 128), (256, 256))
        self.convolutions = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, out, kernel_size=1, bias=False),
                nn.BatchNorm2d(out),
                nn.LeakyReLU(SLOPE),
            )
            for width, out in widths
        )
        self.embedding = nn.Sequential(
            nn.Conv1d(512, 1024, kernel_size=1, bias=False),
            nn.BatchNorm1d(1024),
            nn.LeakyReLU(SLOPE),
        )
        self.head = Classifier(DGCNN(), CLASSES).head

    def forward(self, points: Tensor) -> Tensor:
        """Returns ``(B, CLASSES)`` from ``(B, N, 3)``."""
        x, outputs = points.transpose(1, 2), []
        for convolution in self.convolutions:
            x = convolution(edges(x, self.k)).amax(dim=-1)
            outputs.append(x)
        x = self.embedding(torch.cat(outputs, dim=1))
        logits: Tensor = self.head(torch.cat([x.amax(dim=-1), x.mean(dim=-1)], dim=1))
        return logits


def edges(x: Tensor, k: int) -> Tensor:
    """Returns ``(B, 2C, N, k)`` pairs of features and differences from ``(B, C, N)`` features."""
    squares = x.square().sum(dim=1)
    closeness = 2 * x.transpose(1, 2) @ x - squares[:, None, :] - squares[:, :, None]
    near = closeness.topk(k, dim=-1).indices
    rows = x.transpose(1, 2)
    neighbors = rows[torch.arange(len(x))[:, None, None], near]
    own = rows[:, :, None].expand_as(neighbors)
    return torch.cat([own, neighbors - own], dim=-1).permute(0, 3, 1, 2).contiguous()


def textbook(lesson: Lesson, threads: int) -> Entry:
    """The textbook network with our weights."""
    network = Textbook(lesson.k)
    theirs, ours = list(network.state_dict().values()), list(lesson.weights.values())
    for own, given in zip(theirs, ours, strict=True):
        own.copy_(given.reshape(own.shape))
    return training(network, lesson, network)


def dgcnn(lesson: Lesson, threads: int) -> Entry:
    """pcclust.nn.DGCNN."""
    network = Classifier(DGCNN(lesson.k), CLASSES)
    network.load_state_dict(lesson.weights)
    return training(network, lesson, network)


def clusternet(lesson: Lesson, threads: int) -> Entry:
    """pcclust.nn.ClusterNet, with clusters from the cache."""
    network = Classifier(ClusterNet(), CLASSES)
    return training(network, lesson, partial(network, clusters=lesson.clusters), compared=False)


def pointnet(lesson: Lesson, threads: int) -> Entry:
    """pcclust.nn.PointNet."""
    network = Classifier(PointNet(), CLASSES)
    return training(network, lesson, network, compared=False)


def training(
    network: nn.Module, lesson: Lesson, run: Callable[[Tensor], Tensor], compared: bool = True
) -> Entry:
    """Returns a training step, and the logits of evaluation before any step to compare."""
    keep_freed_memory()  # as every run of ours does; the textbook gains by it, too
    with torch.no_grad():
        network.eval()
        logits = run(lesson.points) if compared else None
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), fused=True)

    def step() -> Tensor | None:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(run(lesson.points), lesson.classes)
        torch.autograd.backward(loss)
        optimizer.step()
        return logits

    return Entry(step, read if compared else None)


def read(logits: Tensor) -> Answer:
    """Returns the logits as numbers."""
    answer: Answer = logits.double().numpy()
    return answer


def lesson(batch: int, size: int, k: int, scale: float) -> Lesson:
    """Returns object-like clouds, and a DGCNN whose BatchNorms have seen them."""
    points = clouds.shapes(batch, scaled(size, scale), 1.0)
    classes = torch.arange(batch) % CLASSES
    torch.manual_seed(0)
    network = Classifier(DGCNN(k), CLASSES)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = None  # the average of all batches, here of one
    network(points)
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    return Lesson(points, classes, ward_hierarchy(points, ClusterNet().num_clusters), weights, k)


SUITE = Suite(
    title="A training step of a classifier",
    compared="logits of evaluation with the same weights",
    cases=(Case(partial(lesson, 16, 1024, 20), Goal(8, aim=12, against="textbook DGCNN")),),
    contestants={
        "pcclust": dgcnn,
        "textbook DGCNN": textbook,
        "pcclust ClusterNet": clusternet,
        "pcclust PointNet": pointnet,
    },
    reference="textbook DGCNN",
)
