"""The check of the CUDA backend: what it says without a GPU, and how it judges one."""

import json

import pytest
import torch

from benchmarks.gpu_cases import cases, edges_in_evaluation, layers, perceptron, pooling
from benchmarks.gpu_check import Outcome, Timed, bound, difference, main, page
from benchmarks.gpu_networks import NetworkTime, compiled_step, network_times

GPU = {"name": "card", "bytes per second": 1e12, "operations per second": 1e13}


def test_without_a_gpu_it_says_so_and_ends_well(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--out", str(tmp_path / "new")]) == 0
    assert "No GPU was found" in capsys.readouterr().out
    assert "No GPU was found" in (tmp_path / "new" / "results.md").read_text()
    results = json.loads((tmp_path / "new" / "results.json").read_text())
    assert (results["gpu"], results["passed"], results["timed"]) == (None, None, [])


@pytest.mark.parametrize(
    ("moved", "operations", "expected"), [(1e9, 1e9, 1.0), (1e6, 1e11, 10.0), (0, 0, 0.0)]
)
def test_the_bound_is_the_slower_of_memory_and_cores(moved, operations, expected):
    assert bound(moved, operations, GPU) == pytest.approx(expected)


def test_the_page_has_every_case_and_the_verdict():
    timed = Timed("knn", "10 points", 2.0, 0.5, {"torch": 8.0, "pytorch3d": "ImportError: no"})
    timed.differences = {"cpu": 0.0, "torch": 1e-7}
    network = NetworkTime("DGCNN", "32 × 1,024", 12.34, {"float32": 5000.0})
    outcome = Outcome(GPU, passed=True, timed=[timed], networks=[network], seconds={"build": 61.2})
    text = page(outcome)
    assert (
        "DGCNN, 32 × 1,024: a training step 12.3 ms; described a second: 5,000 in float32" in text
    )
    assert "Time: build 61 s." in text
    assert (
        "| knn | 10 points | 2.000 ms | 0.5000 ms | 25% | torch 8.000 ms (4.0×), pytorch3d:" in text
    )
    assert "cpu 0.0e+00, torch 1.0e-07" in text
    assert "All tests pass" in text
    assert "SOMETHING IS WRONG" in page(Outcome(GPU, passed=False))


def test_differences_are_in_parts_of_the_largest_value():
    found = (torch.tensor([1.0, 100.0, torch.inf]), torch.tensor([3]))
    expected = (torch.tensor([1.0, 101.0, torch.inf]), torch.tensor([4]))
    assert difference(found, expected) == pytest.approx(1 / 101)
    assert difference(found, found) == 0


def test_cases_run_on_every_backends():
    """Each case and peer takes its inputs, shown on small ones on the CPU."""
    small = [c for c in cases() if c.name.startswith(("edge", "nearest"))]
    small += pooling("3 × 40 rows", 3, 40, 9) + perceptron("30 groups", 30, 5, (4, 7, 6))
    small += layers("2 × 30 rows", torch.rand(2, 30, 3), (7, 12))
    small += [edges_in_evaluation("2 × 30, k = 5", torch.rand(2, 30, 3), 5, (7, 6))]
    for case in small:
        inputs = case.inputs
        for peer in case.peers.values():
            theirs = peer(*inputs) if case.name != "kmeans_assign" else None
            ours = case.run(*inputs)
            if theirs is not None:
                assert difference(ours, theirs) < 1e-3


@pytest.mark.slow
def test_networks_are_trained_and_asked_and_compiled():
    times = network_times(2, 128, "cpu", compiler="aot_eager")
    for found in times:
        assert found.step > 0
        assert all(rate > 0 for rate in found.described.values())
    assert [isinstance(found.compiled, float) for found in times] == [False, True]
    assert f"(compiled: {times[1].compiled:.1f} ms); described" in str(times[1])


class Sums(torch.nn.Linear):
    """As much of a network as a step needs."""

    def forward(self, points, clusters):
        return super().forward(points.sum(dim=1))


@pytest.mark.parametrize("compiler", ["aot_eager", "nobodys"])
def test_a_compiled_step_is_timed_or_told_why_not(compiler):
    found = compiled_step(Sums(3, 40), torch.ones(2, 5, 3), torch.zeros(2, 5, 1), compiler)
    line = str(NetworkTime("Sums", "2 × 5", 1.0, {"float32": 10.0}, found))
    if compiler == "nobodys":
        assert "nobodys" in found
        assert found in line
    else:
        assert found > 0
        assert line == (
            f"Sums, 2 × 5: a training step 1.0 ms (compiled: {found:.1f} ms); described a second: "
            "10 in float32"
        )
