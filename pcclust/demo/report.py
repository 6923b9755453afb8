"""What `pcclust demo` measures, in numbers and in words."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from rich.progress import Progress
from torch import Tensor

import pcclust
from pcclust.data.rotations import random_rotations
from pcclust.demo.measure import (
    Invariance,
    Reconstruction,
    measure_invariance,
    measure_reconstruction,
    shapes_per_second,
)
from pcclust.demo.shapes import BundledShapes
from pcclust.ops._registry import Backend
from pcclust.report.rri_figure import shown

K = 20
ROTATIONS = 20
SEED = 0
DTYPES = {"float32": torch.float32, "float64": torch.float64}
TIMED_SHAPES = 16
# Without a kernel only some shapes are turned, so that two cores need less than two minutes.
STRIDE_WITH_KERNEL = 1
STRIDE_WITHOUT_KERNEL = 24
BACKEND_NAMES: dict[Backend, str] = {"cpu": "native CPU", "torch": "torch"}


@dataclass(frozen=True)
class Report:
    """The measurements and what they were made with.

    Attributes:
        shapes: all bundled shapes.
        turned: how many of them were turned.
        invariance: per floating type.
        reconstruction: of all shapes, in float64.
        rates: shapes per second of each backend that is there.
        no_native: why there is no native kernel of RRI, or None.
        setup: versions and machine.
    """

    shapes: BundledShapes
    turned: int
    invariance: dict[str, Invariance]
    reconstruction: Reconstruction
    rates: dict[str, float]
    no_native: str | None
    setup: dict[str, str]


class Row(NamedTuple):
    """One measurement in words."""

    what: str
    float32: str
    float64: str
    how: str


def measure(shapes: BundledShapes, progress: Progress) -> Report:
    """Rotations, decodes and times the shapes.

    Args:
        shapes: of `load_shapes`.
        progress: shows how far each of it is.
    """
    no_native = why_no_native()
    turned = shapes.clouds[:: STRIDE_WITHOUT_KERNEL if no_native else STRIDE_WITH_KERNEL]
    rates = _rates(shapes.clouds, no_native)
    invariance = {
        name: measure_invariance(
            turned.to(dtype), K, rotations(), _bar(progress, f"turn, {name}", len(turned))
        )
        for name, dtype in DTYPES.items()
    }
    bar = _bar(progress, "decode, float64", len(shapes.clouds))
    reconstruction = measure_reconstruction(shapes.clouds, K, bar)
    return Report(shapes, len(turned), invariance, reconstruction, rates, no_native, setup())


def rotations() -> Tensor:
    """Returns the rotations of the demo, ``(20, 3, 3)`` float64, always the same."""
    return random_rotations(
        ROTATIONS, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64
    )


def why_no_native() -> str | None:
    """Returns why plain PyTorch serves `rri` on a CPU, or None where a native kernel does."""
    (operator,) = (op for op in pcclust.info().operators if op.name == "rri")
    return None if operator.cpu == "cpu" else "; ".join(operator.reasons[:1])


def setup() -> dict[str, str]:
    """Returns versions and machine."""
    facts = pcclust.info()
    threads = f"{facts.threads} thread{'s' * (facts.threads != 1)}"
    return {**facts.versions, "processor": f"{_processor()}, {threads}"}


def rows(report: Report) -> list[Row]:
    """Says what was found, and how, one line each."""
    single, double = (report.invariance[name] for name in DTYPES)
    errors, refused = report.reconstruction.errors, report.reconstruction.refused
    return [
        Row(
            "largest change of a feature (rad or radii)",
            f"{single.changes.max():.1e}",
            f"{double.changes.max():.1e}",
            f"{ROTATIONS} random rotations (Haar) of each of {report.turned} shapes; "
            "points that kept their neighbours and their order",
        ),
        Row(
            "typical change of a feature (rad or radii)",
            f"{single.typical:.1e}",
            f"{double.typical:.1e}",
            "median over the shapes of the median over their points",
        ),
        Row(
            "points with other neighbours or in another order",
            f"{100 * single.fraction_changed:.2g} %",
            f"{100 * double.fraction_changed:.2g} %",
            f"of {single.comparisons:,} turned points; rounding their coordinates decides "
            "near ties otherwise",
        ),
        Row(
            "error of a shape rebuilt from its code (radii)",
            "–",
            f"{errors.max():.1e}",
            "rri_decode(rri_encode(x)) against x: root mean square after the best rotation, never "
            f"a reflection; the worst of {len(errors)} shapes",
        ),
        Row(
            f"shapes of {len(report.shapes.names)} that cannot be rebuilt",
            "–",
            f"{len(refused)}",
            "rri_decode refuses a shape whose neighbour graph is in pieces",
        ),
    ]


def speed_rows(report: Report) -> list[tuple[str, str]]:
    """Says how many shapes a second each backend describes, or why it does not."""
    missing = [("native CPU", f"not there: {report.no_native}")] if report.no_native else []
    return [(backend, shown(rate)) for backend, rate in report.rates.items()] + missing


def _rates(clouds: Tensor, no_native: str | None) -> dict[str, float]:
    """Times the same shapes on every backend that serves `rri` here."""
    backends: list[Backend] = ["torch"] if no_native else ["cpu", "torch"]
    batch = clouds[:: max(1, len(clouds) // TIMED_SHAPES)][:TIMED_SHAPES].float()
    rates = {}
    for backend in backends:
        with pcclust.use_backend(backend):
            rates[BACKEND_NAMES[backend]] = shapes_per_second(batch, K)
    return rates


def _bar(progress: Progress, what: str, total: int) -> Callable[[], None]:
    task = progress.add_task(what, total=total)
    return lambda: progress.advance(task)


def _processor() -> str:
    """Returns the processor's name as Linux tells it, or whatever the platform knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
