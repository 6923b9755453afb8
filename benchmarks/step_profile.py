"""Where the time of a training step goes, by kind of work.

    python -m benchmarks.step_profile clusternet
    python -m benchmarks.step_profile dgcnn --precision bfloat16

One thread, 32 clouds of 1,024 points; ClusterNet with clusters from the cache.
"""

import argparse
from collections import Counter
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks import clouds
from pcclust.nn import DGCNN, Classifier, ClusterNet, ward_hierarchy
from pcclust.training.allocator import keep_freed_memory

BATCH, POINTS, CLASSES, STEPS = 32, 1024, 40, 3
# By the beginning of an operator's name; what is none of these is "passes over rows, and the rest".
KINDS = {
    "matrix products": ("aten::convolution_backward", "aten::mkldnn_convolution", "aten::mm"),
    "neighbours and RRI": ("pcclust::knn", "pcclust::rri"),
    "edges: maxima and sums": ("pcclust::edge_reduce",),
    "members of neighbourhoods": ("pcclust::group_",),
    "BatchNorm, LeakyReLU and pooling": ("pcclust::segment_", "pcclust::row_moments"),
    "copies and changes of dtype": ("aten::copy_", "aten::cat", "aten::_to_copy"),
    "Adam": ("Optimizer", "aten::_fused_adam"),
}
REST = "passes over rows, and the rest"


def training_step(name: str, precision: str) -> Callable[[], None]:
    """Returns forward, backward and Adam of a classifier, as a run makes them."""
    torch.manual_seed(0)
    points = clouds.shapes(BATCH, POINTS, 1.0)
    classes = torch.arange(BATCH) % CLASSES
    backbone: nn.Module
    if name == "clusternet":
        backbone = ClusterNet()
        clusters = ward_hierarchy(points, backbone.num_clusters)
        network = Classifier(backbone, CLASSES).train()
        run = partial(network, points, clusters=clusters)
    else:
        network = Classifier(DGCNN(), CLASSES).train()
        run = partial(network, points)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = run().float()
        torch.autograd.backward(nn.functional.cross_entropy(logits, classes))
        optimizer.step()

    return step


def shares(step: Callable[[], None]) -> tuple[dict[str, float], float]:
    """Returns the share of each kind of work, and the milliseconds of a step."""
    step()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(STEPS):
            step()
    spent: Counter[str] = Counter()
    for event in seen.key_averages():
        kinds = (kind for kind, names in KINDS.items() if event.key.startswith(names))
        spent[next(kinds, REST)] += event.self_cpu_time_total
    total = sum(spent.values())
    return {kind: time / total for kind, time in spent.most_common()}, total / STEPS / 1e3


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=["clusternet", "dgcnn"])
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    found, milliseconds = shares(training_step(given.network, given.precision))
    print(f"{given.network}, {given.precision}: {milliseconds:.0f} ms a step")
    for kind, share in found.items():
        print(f"{100 * share:5.1f} %  {kind}")


if __name__ == "__main__":
    main()
