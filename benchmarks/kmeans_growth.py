"""How the cost of k-means grows with the features, everybody from the same starting centers."""

from functools import partial

from benchmarks import clouds, kmeans
from benchmarks.kmeans import ITERATIONS, Grouping
from benchmarks.suite import Case, Growth, Suite, scaled

SIZES = (1_000, 10_000, 100_000, 1_000_000)
DIMENSIONS = 64
CLUSTERS = 100


def grouping(size: int, scale: float) -> Grouping:
    """Returns the clustering of features, which are in random order, from the first of them."""
    size = scaled(size, scale, at_least=2 * CLUSTERS)
    return Grouping(clouds.features(size, DIMENSIONS), CLUSTERS, from_first=True)


SUITE = Suite(
    title="Growth of k-means with the features",
    compared=kmeans.SUITE.compared,
    cases=tuple(Case(partial(grouping, size)) for size in SIZES),
    contestants={
        "pcclust": kmeans.ours,
        "faiss": kmeans.faiss,
        "scikit-learn": kmeans.scikit_learn,
    },
    reference=kmeans.SUITE.reference,
    difference=kmeans.SUITE.difference,
    tolerance=kmeans.SUITE.tolerance,
    patience=120.0,
    weigh_peers=True,
    growth=Growth(
        title=f"k-means: {CLUSTERS} clusters, {DIMENSIONS} columns, {ITERATIONS} iterations",
        of="features",
        bytes_each=DIMENSIONS * 4,  # float32
        yardstick="input",
        note=f"Everybody starts from the first {CLUSTERS} features. faiss does all {ITERATIONS} "
        "iterations; pcclust and scikit-learn (Lloyd) stop sooner where no label changes any more.",
    ),
)
