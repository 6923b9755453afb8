"""The problem of which k-means's growth is measured."""

import pytest

from benchmarks.kmeans import Grouping
from benchmarks.kmeans_growth import CLUSTERS, SUITE, grouping


@pytest.mark.parametrize(("name", "package"), [("faiss", "faiss"), ("scikit-learn", "sklearn")])
def test_everybody_takes_the_same_steps(name, package):
    pytest.importorskip(package)
    problem = grouping(2_000, scale=1.0)
    ours, theirs = (SUITE.contestants[who](problem, 1) for who in ("pcclust", name))
    mine, other = ours.read(ours.run()), theirs.read(theirs.run())
    assert abs(SUITE.difference(mine, other)) < 1e-6  # other starts differ by 1e-2


def test_starts_from_the_first_features():
    problem = grouping(1_000, scale=1.0)
    assert (problem.start == problem.features[:CLUSTERS]).all()
    assert Grouping(problem.features, CLUSTERS).start is None
