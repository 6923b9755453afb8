"""Proves the CUDA backend on a machine with a GPU, and times it: one JSON and one page.

python -m benchmarks.gpu_check --out out/gpu-check

It builds the kernels for the GPU that is here, runs the tests that need one (every operator against
the torch twin, a busy side stream, a second device), compares all backends on larger problems, and
times each operator against plain torch, against peers, and against the time in which the memory
could pass its input and output and the cores make its operations; then a training step, and how
many shapes are described a second. The page says how long each took; 8 minutes are to do for all.
Without a GPU it says so and returns 0; it returns 1 where a test fails or backends disagree.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
import tyro

if TYPE_CHECKING:
    from benchmarks.gpu_cases import Case
    from benchmarks.gpu_networks import NetworkTime

ROOT = Path(__file__).parent.parent
ROUNDS = 20
# A core makes a fused multiplication and addition in a cycle.
OPERATIONS_PER_CYCLE = 128 * 2
TOLERANCE = 1e-3


@dataclass
class Settings:
    """Where the results go.

    Attributes:
        out: a folder, for results.json and results.md.
    """

    out: Path = Path("out/gpu-check")


@dataclass
class Timed:
    """One case on the GPU; times in milliseconds.

    Attributes:
        name: the operator.
        sizes: of the problem.
        ours: the median time.
        bound: the least time that memory and cores allow.
        others: the median times of torch and peers; what is missing says why.
        differences: how far the answers of the other backends are.
    """

    name: str
    sizes: str
    ours: float
    bound: float
    others: dict[str, float | str] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)


@dataclass
class Outcome:
    """All that was found.

    Attributes:
        gpu: facts about it, or None.
        reason: why there is none.
        tests: the last line of pytest.
        passed: whether all tests did, and all backends agree; None where nothing was checked.
        timed: the cases.
        networks: whole networks.
        seconds: that each part took.
    """

    gpu: dict[str, Any] | None = None
    reason: str = ""
    tests: str = "not run"
    passed: bool | None = None
    timed: list[Timed] = field(default_factory=list)
    networks: list["NetworkTime"] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def main(arguments: list[str] | None = None) -> int:
    """Runs everything; returns 1 where something is wrong, 0 where not or where no GPU is."""
    settings = tyro.cli(Settings, description=__doc__, args=arguments)
    outcome = Outcome(reason=why_no_gpu() or "")
    if not outcome.reason:
        check(outcome)
    text = page(outcome)
    settings.out.mkdir(parents=True, exist_ok=True)
    write(settings.out / "results.json", json.dumps(asdict(outcome), indent=2) + "\n")
    write(settings.out / "results.md", text)
    print(text)
    return int(outcome.passed is False)


def check(outcome: Outcome) -> None:
    """Builds, tests and measures all that there is."""
    outcome.gpu = gpu_facts()
    with timing("build", outcome.seconds):
        build(outcome.gpu)
    with timing("tests", outcome.seconds):
        outcome.tests, passed = run_tests()
    with timing("operators", outcome.seconds):
        outcome.timed, agree = measure(outcome.gpu)
    outcome.passed = passed and agree
    with timing("networks", outcome.seconds):
        from benchmarks.gpu_networks import network_times

        outcome.networks = network_times()


@contextmanager
def timing(part: str, seconds: dict[str, float]) -> Iterator[None]:
    """Notes how long a part takes, and says so."""
    begin = time.perf_counter()
    yield
    seconds[part] = time.perf_counter() - begin
    print(f"{part}: {seconds[part]:.0f} s", flush=True)


def why_no_gpu() -> str | None:
    """Returns why nothing can be checked here, or None."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} has no CUDA"
    return None if torch.cuda.is_available() else "torch sees no CUDA device"


def gpu_facts() -> dict[str, Any]:
    """Returns what the times depend on; the bandwidth is that of a large copy, measured."""
    properties = torch.cuda.get_device_properties(0)
    source = torch.empty(2**28, device="cuda")
    copy = milliseconds(lambda: source.clone())
    clock = getattr(properties, "clock_rate", None)
    cores = properties.multi_processor_count * OPERATIONS_PER_CYCLE
    return {
        "name": properties.name,
        "devices": torch.cuda.device_count(),
        "capability": f"{properties.major}{properties.minor}",
        "memory": properties.total_memory,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "bytes per second": 2 * source.nbytes / (copy / 1e3),
        "operations per second": cores * clock * 1e3 if clock else None,
    }


def build(gpu: dict[str, Any]) -> None:
    """Compiles the kernels in place, for this GPU alone."""
    environment = {**os.environ, "PCCLUST_CUDA": "1", "CUDA_TARGETS": gpu["capability"]}
    command = [sys.executable, "setup.py", "build_ext", "--inplace"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def run_tests() -> tuple[str, bool]:
    """Runs the tests that need a GPU; returns pytest's summary and whether all passed."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/cuda"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout)
    lines = done.stdout.strip().splitlines()
    return (lines[-1] if lines else done.stderr), done.returncode == 0


def measure(gpu: dict[str, Any]) -> tuple[list[Timed], bool]:
    """Compares and times every case; returns also whether all backends agree."""
    from benchmarks.gpu_cases import cases  # imports pcclust, which must be built by now

    timed = [time_case(case, gpu) for case in cases()]
    return timed, all(max(t.differences.values()) <= TOLERANCE for t in timed)


def time_case(case: "Case", gpu: dict[str, Any]) -> Timed:
    """Times one case with events on the GPU, and compares the backends."""
    from pcclust import use_backend

    inputs = tuple(on_device(tensor) for tensor in case.inputs)
    found = case.run(*inputs)
    timed = Timed(
        case.name,
        case.sizes,
        milliseconds(lambda: case.run(*inputs)),
        bound(total_bytes(case.inputs) + total_bytes(found), case.operations, gpu),
    )
    timed.differences["cpu"] = difference(found, case.run(*case.inputs))
    with use_backend("torch"):
        timed.differences["torch"] = difference(found, case.run(*inputs))
        timed.others["torch"] = milliseconds(lambda: case.run(*inputs))
    for name, peer in case.peers.items():
        try:
            timed.others[name] = milliseconds(lambda peer=peer: peer(*inputs))
        except Exception as error:  # a peer that is missing or fails is told, and ends nothing
            timed.others[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    return timed


def on_device(tensor: torch.Tensor) -> torch.Tensor:
    """Returns a copy on the GPU that wants a gradient where the tensor does."""
    return tensor.detach().cuda().requires_grad_(tensor.requires_grad)


def milliseconds(run: Any) -> float:  # noqa: ANN401
    """Returns the median time between two events around the work, after a warm-up."""
    times = []
    for _ in range(ROUNDS + 3):
        start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        start.record()
        run()
        end.record()
        end.synchronize()
        times.append(float(start.elapsed_time(end)))
    return median(times[3:])


def bound(moved: int, operations: float, gpu: dict[str, Any]) -> float:
    """Returns the milliseconds in which the bytes could pass and the operations be made."""
    seconds: float = moved / gpu["bytes per second"]
    if gpu["operations per second"]:
        seconds = max(seconds, operations / gpu["operations per second"])
    return 1e3 * seconds


def leaves(value: Any) -> list[torch.Tensor]:  # noqa: ANN401
    """Returns the tensors of nested tuples, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for part in value for tensor in leaves(part)]


def total_bytes(value: Any) -> int:  # noqa: ANN401
    """Returns the bytes of all tensors in nested tuples."""
    return sum(tensor.nbytes for tensor in leaves(value))


def difference(found: Any, expected: Any) -> float:  # noqa: ANN401
    """Returns the largest difference of floating results, in parts of the largest value."""
    worst = 0.0
    for ours, theirs in zip(leaves(found), leaves(expected), strict=True):
        if ours.is_floating_point() and ours.numel():
            a, b = ours.detach().cpu().double(), theirs.detach().cpu().double()
            scale = max(1.0, float(b[b.isfinite()].abs().max()))
            apart = torch.where(a == b, 0.0, (a - b).abs())
            worst = max(worst, float(apart.max()) / scale)
    return worst


def page(outcome: Outcome) -> str:
    """Returns the results as Markdown."""
    if outcome.gpu is None:
        return f"# CUDA on a GPU\n\nNo GPU was found ({outcome.reason}): nothing was checked.\n"
    facts = ", ".join(f"{name} {value}" for name, value in outcome.gpu.items())
    rows = ["| operator | problem | ours | bound | share | others | backends differ by |"]
    rows += ["|---" * 7 + "|", *(row(timed) for timed in outcome.timed)]
    verdict = "All tests pass and all backends agree." if outcome.passed else "SOMETHING IS WRONG."
    parts = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in outcome.seconds.items())
    verdict += f" Tests: {outcome.tests}. Time: {parts}."
    networks = [f"- {network}" for network in outcome.networks]
    paragraphs = ["# CUDA on a GPU", facts, verdict, "\n".join(rows), *networks]
    return "\n\n".join(paragraphs) + "\n"


def row(timed: Timed) -> str:
    """Returns one line of the table; shares are of the bound."""
    others = ", ".join(
        f"{name} {value:.3f} ms ({value / timed.ours:.1f}×)"
        if isinstance(value, float)
        else f"{name}: {value}"
        for name, value in timed.others.items()
    )
    apart = ", ".join(f"{backend} {value:.1e}" for backend, value in timed.differences.items())
    return (
        f"| {timed.name} | {timed.sizes} | {timed.ours:.3f} ms | {timed.bound:.4f} ms "
        f"| {timed.bound / timed.ours:.0%} | {others} | {apart} |"
    )


def write(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
