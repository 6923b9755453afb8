"""How fast ModelNet40 opens, loads, streams and is cut.

Run ``python benchmarks/loading.py``. Each figure is the best of several runs, since other programs
on the machine only ever slow it.
"""

import time
from collections.abc import Callable

import torch

from pcclust.data import ModelNet, PointLoader
from pcclust.data.parts import halves, random_planes
from pcclust.data.transforms import Compose, Jitter, RotateSO3, Scale

REPEATS = 5
AUGMENT = Compose(RotateSO3(), Jitter(), Scale())


def best_seconds(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Returns the shortest time of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def epoch_seconds(loader: PointLoader) -> float:
    """Returns the shortest time of an epoch that follows one to warm up."""
    epochs = iter(range(REPEATS + 1))

    def epoch() -> None:
        for _ in loader.epoch(next(epochs)):
            pass

    epoch()
    return best_seconds(epoch)


def cut_thousand(points: torch.Tensor) -> torch.Tensor:
    """Cuts 1,000 clouds into two parts of 512 points each."""
    generator = torch.Generator().manual_seed(0)
    planes = random_planes(points, generator=generator)[:, 0]
    return halves(points, planes, 512, generator=generator)


def main() -> None:
    """Prints the figures."""
    opened = best_seconds(lambda: (ModelNet(split="train"), ModelNet(split="test")))
    print(f"open both splits            {opened:8.3f} s")
    train = ModelNet(split="train")
    print(f"read 9,843 clouds to memory {best_seconds(train.load):8.3f} s")
    for name, stream in (("memory", False), ("stream", True)):
        for batch_size in (32, 64):
            loader = PointLoader(train, batch_size, transform=AUGMENT, stream=stream)
            rate = len(train) / epoch_seconds(loader)
            print(f"{name}, augmented, batch {batch_size:3d} {rate:9,.0f} clouds/s")
    thousand = train.load().points[:1000]
    print(f"cut 1,000 clouds in halves  {best_seconds(lambda: cut_thousand(thousand)):8.3f} s")


if __name__ == "__main__":
    main()
