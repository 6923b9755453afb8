"""How the cost of kNN grows with the points of a cloud."""

from functools import partial

from benchmarks import clouds, knn
from benchmarks.suite import Case, Suite
from benchmarks.timing import Result

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000)
NEIGHBORS = 16
MILLIONS = (1_000_000, 8_000_000)
MOST_GROWTH = 10.0  # between these: what n·log n gives, and a little

POINT_BYTES = 12  # three float32


def points(result: Result) -> int:
    """Returns the number of points of a case."""
    return result.input_bytes // POINT_BYTES


SUITE = Suite(
    title="Growth of kNN with the points of a cloud",
    compared=knn.SUITE.compared,
    cases=tuple(Case(partial(knn.single, clouds.surfaces, size, NEIGHBORS)) for size in SIZES),
    contestants=knn.SUITE.contestants,
    reference=knn.SUITE.reference,
    patience=20.0,
)
