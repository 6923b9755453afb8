"""How the cost of kNN grows with the points of a cloud."""

from functools import partial

from benchmarks import clouds, knn
from benchmarks.suite import Case, Growth, Suite

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000)
NEIGHBORS = 16

SUITE = Suite(
    title="Growth of kNN with the points of a cloud",
    compared=knn.SUITE.compared,
    cases=tuple(Case(partial(knn.single, clouds.surfaces, size, NEIGHBORS)) for size in SIZES),
    contestants=knn.SUITE.contestants,
    reference=knn.SUITE.reference,
    patience=20.0,
    growth=Growth(
        title=f"The {NEIGHBORS} nearest neighbours of every point of one cloud",
        of="points",
        bytes_each=3 * 4,  # float32
        most=(1_000_000, 8_000_000, 10.0),  # what n·log n gives, and a little
    ),
)
