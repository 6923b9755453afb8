"""Farthest point sampling."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import pcclust
from benchmarks import clouds
from benchmarks.suite import Answer, Case, Entry, Goal, Run, Suite, Unfit, scaled
from benchmarks.timing import fastest
from benchmarks.workers import in_processes, in_threads, one_by_one

CHECKED_STEPS = 256  # of each cloud's samples
LARGEST_SCAN = 50_000_000  # distances that the slowest peer, open3d, can compute in a few seconds
LEAF_HEIGHTS = (3, 5, 7, 9)  # fpsample's setting for small to large clouds
Indices = NDArray[np.integer[Any]]


class Sampling(NamedTuple):
    """Choose ``samples`` points of each of ``(B, N, 3)`` clouds, starting from point 0."""

    clouds: Tensor
    samples: int

    def __str__(self) -> str:
        """Names the sizes."""
        batch, size, _ = self.clouds.shape
        return f"{batch}×{size:,} → {self.samples:,}"

    def refuse_long_scan(self) -> None:
        """Raises where computing all distances in every step would take minutes."""
        distances = self.samples * self.clouds.shape[0] * self.clouds.shape[1]
        if distances > LARGEST_SCAN:
            raise Unfit(f"it would compute {distances:,} distances, for minutes")


def greediness(problem: Sampling, indices: Sequence[Indices] | Indices) -> Answer:
    """Returns, for each step, how far the chosen point was, relative to the farthest one.

    It is 1 for every exact sampler, whichever of several farthest points it takes.

    Args:
        problem: the clouds that were sampled.
        indices: ``(B, samples)`` positions in the cloud, in the order of sampling.
    """
    answers = []
    for cloud, chosen in zip(problem.clouds.numpy().astype(np.float64), indices, strict=True):
        nearest = np.full(len(cloud), np.inf)
        steps = np.ones(min(problem.samples, CHECKED_STEPS))
        for step, index in enumerate(np.asarray(chosen, dtype=np.int64)[: len(steps)]):
            if step > 0:
                steps[step] = np.sqrt(nearest[index] / nearest.max())
            nearest = np.minimum(nearest, ((cloud - cloud[index]) ** 2).sum(axis=1))
        answers.append(steps)
    return np.stack(answers)


def ours(problem: Sampling, threads: int) -> Entry:
    """pcclust.farthest_point_sample on the batch."""
    sample = pcclust.farthest_point_sample
    return Entry(
        lambda: sample(problem.clouds, problem.samples),
        lambda indices: greediness(problem, indices.numpy()),
    )


def fpsample(problem: Sampling, threads: int) -> Entry:
    """The fastest exact sampler of fpsample; it keeps Python's lock, so clouds go to processes."""
    import fpsample as package

    arrays, samples = list(problem.clouds.numpy()), problem.samples
    lines = {
        f"kdline, h={h}": partial(
            package.bucket_fps_kdline_sampling, n_samples=samples, h=h, start_idx=0
        )
        for h in LEAF_HEIGHTS
        if 2**h <= problem.clouds.shape[1]
    }
    tree = partial(package.bucket_fps_kdtree_sampling, n_samples=samples, start_idx=0)
    plain = partial(package.fps_sampling, n_samples=samples, start_idx=0)
    samplers = {"plain": plain, "kdtree": tree, **lines}
    runs: dict[str, Run] = {name: one_by_one(sampler, arrays) for name, sampler in samplers.items()}
    detail, run = fastest(runs)
    in_process = len(arrays) == 1 or threads == 1
    if not in_process:
        detail, run = (
            f"{detail}, {threads} processes",
            in_processes(samplers[detail], arrays, threads),
        )
    return Entry(run, partial(greediness, problem), detail, in_process)


def open3d(problem: Sampling, threads: int) -> Entry:
    """open3d.t.geometry.PointCloud.farthest_point_down_sample, which returns unordered points."""
    from open3d import core, t

    problem.refuse_long_scan()
    arrays = problem.clouds.numpy()
    shapes = [t.geometry.PointCloud(core.Tensor.from_numpy(array)) for array in arrays]

    def read(sampled: list[Any]) -> Answer:
        chosen = (points.point.positions.numpy() for points in sampled)
        return greediness(problem, [in_order(*each) for each in zip(arrays, chosen, strict=True)])

    run = one_by_one(lambda cloud: cloud.farthest_point_down_sample(problem.samples), shapes)
    return Entry(run, read)


def in_order(cloud: NDArray[Any], points: NDArray[Any]) -> Indices:
    """Returns the indices of sampled points in the order in which an exact sampler takes them.

    The farthest of all points is always among those that it samples, so sampling from these alone
    gives the same order.
    """
    index = {row.tobytes(): i for i, row in enumerate(cloud)}
    nearest, order = np.full(len(points), np.inf), [0]
    for _ in range(min(len(points), CHECKED_STEPS) - 1):
        nearest = np.minimum(nearest, ((points - cloud[order[-1]]) ** 2).sum(axis=1))
        order.append(index[points[nearest.argmax()].tobytes()])
    return np.array(order)


def torch_cluster(problem: Sampling, threads: int) -> Entry:
    """torch_cluster.fps, clouds in threads."""
    from torch_cluster import fps

    ratio = problem.samples / problem.clouds.shape[1]
    run = in_threads(lambda cloud: fps(cloud, None, ratio, False), problem.clouds, threads)
    return Entry(run, lambda found: greediness(problem, [indices.numpy() for indices in found]))


def plain_torch(problem: Sampling, threads: int) -> Entry:
    """The textbook loop, one step of the whole batch at a time."""

    def sample() -> Tensor:
        points = problem.clouds
        chosen = torch.zeros(len(points), problem.samples, dtype=torch.int64)
        nearest = torch.full(points.shape[:2], torch.inf)
        for step in range(1, problem.samples):
            last = points.take_along_dim(chosen[:, step - 1, None, None], dim=1)
            nearest = torch.minimum(nearest, (points - last).square().sum(dim=-1))
            chosen[:, step] = nearest.argmax(dim=1)
        return chosen

    return Entry(sample, lambda indices: greediness(problem, indices.numpy()))


def sampling(batch: int, size: int, samples: int, scale: float) -> Sampling:
    """Returns the sampling of object-like clouds."""
    return Sampling(clouds.shapes(batch, size, scale), scaled(samples, scale, at_least=16))


GOAL = Goal(at_least=1.5, aim=2)
SUITE = Suite(
    title="Farthest point sampling",
    compared="distances of the samples at the time of their choice",
    cases=(
        Case(partial(sampling, 32, 1024, 256), GOAL),
        Case(partial(sampling, 32, 2048, 512), GOAL),
        Case(partial(sampling, 4, 16_384, 4096), GOAL),
        Case(partial(sampling, 1, 200_000, 10_000), GOAL),
    ),
    contestants={
        "pcclust": ours,
        "fpsample": fpsample,
        "open3d": open3d,
        "torch-cluster": torch_cluster,
        "plain torch": plain_torch,
    },
    reference="plain torch",
)
