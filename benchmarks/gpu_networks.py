"""What whole networks do on a GPU: a training step, and how many shapes are described a second."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

import pcclust
from benchmarks.clouds import shapes
from pcclust.nn import DGCNN, Classifier, ClusterNet, ward_hierarchy

CLASSES = 40
BATCHES = 16  # of shapes that are described


@dataclass
class NetworkTime:
    """One network on batches of clouds.

    Attributes:
        name: of the network.
        sizes: of the batch, in words.
        step: milliseconds of a training step, forward, backward and Adam, with cached clusters.
        described: shapes that `pcclust.embed` describes a second, by the precision of products;
            clusters and all.
        compiled: milliseconds of the same step compiled by torch into CUDA graphs, why it is not,
            or None where that is not tried.
    """

    name: str
    sizes: str
    step: float
    described: dict[str, float]
    compiled: float | str | None = None

    def __str__(self) -> str:
        """Says it in a line."""
        compiled = self.compiled
        if isinstance(compiled, float):
            compiled = f"{compiled:.1f} ms"
        step = f"{self.step:.1f} ms" + (f" (compiled: {compiled})" if compiled else "")
        rates = [f"{rate:,.0f} in {precision}" for precision, rate in self.described.items()]
        told = f"a training step {step}; described a second: {', '.join(rates)}"
        return f"{self.name}, {self.sizes}: {told}"


def network_times(
    batch: int = 32, points: int = 1024, device: str = "cuda", compiler: str = "inductor"
) -> list[NetworkTime]:
    """Measures DGCNN and ClusterNet as they are trained and asked, ClusterNet compiled, too."""
    clouds = shapes(batch, points, 1.0)
    clusters = ward_hierarchy(clouds, ClusterNet().num_clusters).to(device)
    found = []
    for encoder, given in ((DGCNN(), {}), (ClusterNet(), {"clusters": clusters})):
        network = Classifier(encoder, CLASSES).to(device).train()
        name, sizes = type(encoder).__name__, f"{batch} × {points:,}"
        step = partial(train_once, network, torch.optim.Adam(network.parameters()))
        seconds = median_seconds(partial(step, clouds.to(device), **given), device)
        described = {p: shapes_per_second(encoder, clouds, p) for p in ("float32", "bfloat16")}
        found.append(NetworkTime(name, sizes, 1e3 * seconds, described))
    found[-1].compiled = compiled_step(network, clouds.to(device), clusters, compiler)
    return found


def compiled_step(
    network: nn.Module, points: Tensor, clusters: Tensor, compiler: str
) -> float | str:
    """Times a step of a network that torch compiles for little work of the CPU, or says why not."""
    mode = "reduce-overhead" if compiler == "inductor" else None
    optimizer = torch.optim.Adam(network.parameters())
    try:
        compiled = torch.compile(network, fullgraph=True, backend=compiler, mode=mode)
        step = partial(train_once, compiled, optimizer, points, clusters=clusters)
        return 1e3 * median_seconds(step, points.device.type)
    except Exception as error:  # what torch cannot compile is told, and ends nothing
        return f"{type(error).__name__}: {error}".splitlines()[0]


def train_once(
    network: Callable[..., Tensor],
    optimizer: torch.optim.Optimizer,
    points: Tensor,
    **given: Tensor,
) -> None:
    """Makes a step with any labels."""
    optimizer.zero_grad()
    classes = torch.arange(len(points), device=points.device) % CLASSES
    loss = nn.functional.cross_entropy(network(points, **given), classes)
    torch.autograd.backward(loss)
    optimizer.step()


def shapes_per_second(encoder: nn.Module, clouds: Tensor, precision: str) -> float:
    """Times `pcclust.embed` on many batches of the same shapes, wherever the encoder is."""
    many = clouds.repeat(BATCHES, 1, 1)
    device = next(encoder.parameters()).device
    run = partial(pcclust.embed, encoder, many, device=device, precision=precision)
    return len(many) / median_seconds(run, device.type, rounds=3)


def median_seconds(run: Callable[[], object], device: str, rounds: int = 10) -> float:
    """Returns the median of a few runs after one to warm up, each until the device is done."""
    times = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return sorted(times[1:])[rounds // 2]
