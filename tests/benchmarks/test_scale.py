"""The plan on paper: the simulation keeps count, and the page has what was computed."""

import dataclasses

import pytest

from benchmarks.scale import SIZES, stages
from benchmarks.scale_page import page
from benchmarks.scale_rates import Rates, flops_of_a_vector
from benchmarks.scale_workers import Fleet, simulate

FLEET = Fleet(workers=20, shapes=64_000, shards=200, rate=10, unlike=0.3)
MEASURED = {
    "fits": {
        "rows": 100, "width": 4, "clusters": 3, "processor": "one",
        "seeds": [
            {"speed": speed, "scikit-learn": 1.5, "inertia": 0.001, "iterations": [7, 9, 8]}
            for speed in (0.8, 1.25, 1.0)
        ],
    },
    "memory": {
        "rows": 100, "width": 4, "clusters": 3, "iterations": 1, "processor": "one",
        "data": 2**30, "peak": 2**28, "seconds": 3.0,
    },
}  # fmt: skip
RATES = Rates(*[1e-3] * 7, 1e-11, 1e-2, 4e4, 4e3, 500, 20)


@pytest.mark.parametrize("life", [None, 1.0, 0.05])
@pytest.mark.parametrize("seed", [0, 1])
def test_all_time_of_all_workers_is_accounted_for(life, seed):
    run = simulate(dataclasses.replace(FLEET, life=life), seed)
    # What was taken to the end, and is of no use any more, is no part of the time.
    spent = run.undone + run.away + run.idle
    assert spent < FLEET.workers * run.taken
    assert run.taken > run.ideal
    assert (run.deaths > 0) == (life is not None and run.undone > 0)


def test_without_deaths_the_time_is_that_of_the_work():
    """Workers of one speed, and as many shards as divide: the start, and then the work."""
    run = simulate(Fleet(workers=20, shapes=64_000, shards=200, rate=10, unlike=0.0))
    assert run.ideal == pytest.approx(320)
    assert run.taken == pytest.approx(320 + 20)
    assert (run.deaths, run.undone, run.idle) == (0, 0, pytest.approx(0))


def test_more_deaths_take_longer_and_a_seed_is_repeated():
    taken = [simulate(dataclasses.replace(FLEET, life=life)).taken for life in (None, 0.5, 0.05)]
    assert taken == sorted(taken)
    assert taken[2] == simulate(dataclasses.replace(FLEET, life=0.05)).taken


def test_products_of_a_vector_are_counted_layer_by_layer():
    """By hand, from the sizes of the published network: rows, inputs and outputs of each layer."""
    rri = [(rows * near, wide, out) for rows, near in ((1024, 20), (128, 16), (32, 8), (8, 7))
           for wide, out in ((4, 32), (32, 64))]  # fmt: skip
    edges = [(1024, 128, 64), (1024, 128, 128), (128, 648, 256), (32, 648, 256), (8, 1160, 512)]
    poolings = [(1024, 256, 256), (128, 580, 256), (32, 580, 256), (8, 1092, 256)]
    abstractions = [(1024, 260, 256), (128, 584, 256), (32, 584, 512)]
    layers = [*rri, *edges, *poolings, *abstractions]
    assert flops_of_a_vector() == sum(2 * rows * wide * out for rows, wide, out in layers)


def test_the_page_has_every_stage_of_every_size():
    found = [(size, stages(size, RATES)) for size in SIZES]
    text = page(RATES, found, [("some", FLEET, simulate(FLEET))], 0, MEASURED)
    for size, computed in found:
        assert f"## {size.shapes:,.0f} shapes" in text
        for stage in computed:
            assert stage.seconds >= stage.core_seconds / size.all_cores
        assert f"**{max(computed, key=lambda stage: stage.seconds).name}**" in text
    assert "| some | 200 | 0 |" in text
    assert "1.00 (median; 0.80 to 1.25) times as fast as `pcclust.KMeans`" in text
    assert "Inertia beside scikit-learn's: +0.10 % (median; +0.10 to +0.10)" in text
    assert "are 1,024 MiB. The command takes 256 MiB at its peak, 25 % of them" in text
    assert "**Two processes**" not in text  # which were not measured
    assert "**Never ran**: Slurm" in text
