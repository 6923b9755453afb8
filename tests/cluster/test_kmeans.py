"""KMeans: what it finds, on each backend and for degenerate data."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import pcclust
from pcclust.cluster._inputs import middle
from pcclust.cluster.lloyd import Problem, move_centers, split_for_empty
from tests.cluster import reference_kmeans as reference


def blobs(seed=0, count=300, dims=6, clusters=5, spread=0.1):
    generator = torch.Generator().manual_seed(seed)
    centers = torch.randn((clusters, dims), generator=generator) * 3
    labels = torch.arange(count) % clusters
    return centers[labels] + spread * torch.randn((count, dims), generator=generator), labels


def check_consistent(model, points, weights=None, clusters=None):
    """Labels, inertia and predict agree with the centers, by the reference."""
    centers = np.asarray(model.cluster_centers_, dtype=np.float64)
    points = np.asarray(points, dtype=np.float64)
    _, nearest = reference.nearest(points.tolist(), centers.tolist())
    scale = 1e-5 * (1 + float((points**2).sum(axis=1).max()))
    at_labels = ((points - centers[np.asarray(model.labels_)]) ** 2).sum(axis=1)
    np.testing.assert_allclose(at_labels, nearest, atol=scale)
    weights = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    assert model.inertia_ == pytest.approx((weights * nearest).sum(), rel=1e-4, abs=scale)
    assert centers.shape[0] == (model.n_clusters if clusters is None else clusters)


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str
)
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_blobs_are_found(backend, dtype, init):
    points, truth = blobs()
    model = pcclust.KMeans(5, init=init, n_init=8, random_state=0).fit(points.to(dtype))
    pairs = {(int(a), int(b)) for a, b in zip(model.labels_, truth, strict=True)}
    assert len(pairs) == 5
    assert model.cluster_centers_.dtype == (
        torch.float64 if dtype == torch.float64 else torch.float32
    )
    check_consistent(model, points.to(dtype).double())


def test_lloyd_moves_centers_as_the_reference(backend):
    points, _ = blobs(spread=2.0)
    weights = torch.rand(300, generator=torch.Generator().manual_seed(1)) + 0.1
    for iterations in (1, 4):
        model = pcclust.KMeans(5, init=points[:5], max_iter=iterations, tol=0)
        model.fit(points.double(), sample_weight=weights.double())
        expected = reference.lloyd(
            points.tolist(), weights.tolist(), points[:5].tolist(), iterations
        )
        np.testing.assert_allclose(model.cluster_centers_.numpy(), expected, atol=1e-6)
        check_consistent(model, points, weights)


def test_inertia_is_that_of_scikit_learn(backend):
    cluster = pytest.importorskip("sklearn.cluster")
    points = torch.randn((1500, 12), generator=torch.Generator().manual_seed(7)).numpy()
    ours, theirs = [], []
    for seed in range(4):
        ours.append(pcclust.KMeans(40, max_iter=20, random_state=seed).fit(points).inertia_)
        peer = cluster.KMeans(40, n_init=1, max_iter=20, random_state=seed).fit(points)
        theirs.append(peer.inertia_)
    assert np.mean(ours) <= 1.01 * np.mean(theirs)


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 60),
    dims=st.integers(1, 5),
    span=st.integers(0, 2),
    share=st.floats(0, 1),
    metric=st.sampled_from(["euclidean", "cosine"]),
    init=st.sampled_from(["k-means++", "random"]),
    weighted=st.booleans(),
)
@pytest.mark.filterwarnings("ignore:only .* clusters have samples")
def test_degenerate_data(backend, seed, count, dims, span, share, metric, init, weighted):
    generator = torch.Generator().manual_seed(seed)
    shape = (count, dims)
    points = torch.randint(-span, span + 1, shape, generator=generator).float()
    if metric == "cosine":
        points[(points == 0).all(dim=1)] = 1.0
    clusters = 1 + int(share * (count - 1))
    weights = torch.randint(0, 3, (count,), generator=generator).float()
    weights[0] = 1.0
    weights = weights if weighted else None
    model = pcclust.KMeans(clusters, metric=metric, init=init, tol=0, random_state=seed)
    model.fit(points, sample_weight=weights)
    if metric == "cosine":
        points = points / points.norm(dim=1, keepdim=True)
        lengths = model.cluster_centers_.norm(dim=1)
        assert torch.allclose(lengths, torch.ones(clusters), atol=1e-5)
    check_consistent(model, points, weights)
    counted = points if weights is None else points[weights > 0]
    different = int(torch.unique((counted * 1e4).round(), dim=0).shape[0])
    if clusters >= different:
        assert model.inertia_ == pytest.approx(0, abs=1e-4)
    if weights is None and clusters <= different:
        assert len(set(model.labels_.tolist())) == clusters


@pytest.mark.parametrize("majority", [1, 2, 3, 50])
def test_opposite_directions_part(backend, majority):
    """Both centers may start at one direction; a small step from there leads back to it."""
    points = torch.tensor([[1.0]] * majority + [[-1.0]])
    for seed in range(4):
        model = pcclust.KMeans(2, metric="cosine", init="random", tol=0, random_state=seed)
        model.fit(points)
        assert model.labels_[0] != model.labels_[-1]
        assert model.inertia_ == 0


def test_equal_points_warn_and_give_equal_centers(backend):
    points = torch.full((20, 3), 7.3)
    with pytest.warns(UserWarning, match="only 1 of the 4 clusters have samples"):
        model = pcclust.KMeans(4, random_state=0).fit(points)
    assert torch.equal(model.cluster_centers_, points[:4])
    assert model.inertia_ == 0


def test_as_many_clusters_as_samples(backend):
    points, _ = blobs(count=40)
    model = pcclust.KMeans(40, random_state=0).fit(points)
    assert model.inertia_ == 0
    assert sorted(model.labels_.tolist()) == list(range(40))


def test_one_cluster_is_the_weighted_mean(backend):
    points, _ = blobs()
    weights = torch.arange(300.0)
    model = pcclust.KMeans(1).fit(points, sample_weight=weights)
    mean = (points.double() * weights[:, None]).sum(dim=0) / weights.sum()
    torch.testing.assert_close(model.cluster_centers_[0].double(), mean, rtol=1e-6, atol=1e-6)


def test_samples_of_weight_zero_count_for_nothing(backend):
    points, _ = blobs()
    outliers = torch.full((30, 6), 50.0)
    weights = torch.cat([torch.ones(300), torch.zeros(30)])
    model = pcclust.KMeans(5, n_init=5, random_state=0)
    model.fit(torch.cat([points, outliers]), sample_weight=weights)
    assert float(model.cluster_centers_.max()) < 20
    assert model.inertia_ == pytest.approx(
        pcclust.KMeans(5, n_init=5, random_state=0).fit(points).inertia_, rel=1e-4
    )


def test_a_cluster_far_away_costs_the_others_nothing(backend):
    points, _ = blobs()
    far = torch.cat([points, points[:20] + 1e6])
    model = pcclust.KMeans(6, n_init=8, random_state=0).fit(far)
    near = pcclust.KMeans(5, n_init=8, random_state=0).fit(points).inertia_
    distances = (points - model.cluster_centers_[model.labels_[:300]]).square().sum()
    assert float(distances) == pytest.approx(near, rel=1e-3)


def test_empty_clusters_find_donors():
    # Two heavy blobs, of which one is all the same point, and three centers that nobody is near.
    generator = torch.Generator().manual_seed(0)
    points = torch.zeros((300, 4))
    points[:100] = torch.randn((100, 4), generator=generator) * torch.tensor([1.0, 0, 0, 0])
    points[100:] = 5.0
    centers = torch.tensor([[0.0] * 4, [5.0] * 4, [99.0] * 4, [98.0] * 4, [97.0] * 4])
    problem = Problem(points, None, middle(points), False, generator)
    labels = (torch.arange(300) >= 100).long()
    distances = (points - centers[labels]).square().sum(dim=1)
    moved = move_centers(problem, centers, labels, distances)
    assert torch.equal(moved[1], points[-1])  # nothing to split, though it is the heaviest
    assert (moved[2:].norm(dim=1) < 2).all()
    assert torch.unique(moved, dim=0).shape[0] == 5
    model = pcclust.KMeans(5, init=centers, tol=0, random_state=0).fit(points)
    assert len(set(model.labels_.tolist())) == 5


def test_a_split_survives_rounding_and_halves_the_donor():
    generator = torch.Generator().manual_seed(0)
    points = torch.full((8, 3), 1e4)
    problem = Problem(points, None, points[0], False, generator)
    centers = torch.tensor([[1e4] * 3, [-5.0] * 3, [0.0] * 3, [0.0] * 3])
    masses = torch.tensor([8.0, 6.0, 0.0, 0.0], dtype=torch.float64)
    spreads = torch.tensor([1e-12, 1e-12, 0.0, 0.0], dtype=torch.float64)
    labels, distances = torch.zeros(8, dtype=torch.int64), torch.zeros(8)
    moved = split_for_empty(problem, centers, masses, spreads, labels, distances)
    assert torch.unique(moved, dim=0).shape[0] == 4
    assert (moved[0] - 1e4).abs().max() < 0.1
    assert (moved[2] - 1e4).abs().max() < 0.1  # from the heaviest, which then counts 4
    assert (moved[3] + 5).abs().max() < 0.1  # so the next takes from the other


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_same_seed_gives_the_same_bits(backend, metric):
    points, _ = blobs(spread=2.0)
    models = [pcclust.KMeans(20, metric=metric, n_init=2, random_state=3).fit(points) for _ in "ab"]
    assert torch.equal(models[0].cluster_centers_, models[1].cluster_centers_)
    assert torch.equal(models[0].labels_, models[1].labels_)
    other = pcclust.KMeans(20, metric=metric, n_init=2, random_state=4).fit(points)
    assert not torch.equal(models[0].cluster_centers_, other.cluster_centers_)


def test_more_starts_are_never_worse(backend):
    points, _ = blobs(spread=2.0)
    inertias = [
        pcclust.KMeans(20, init="random", n_init=n, random_state=0).fit(points).inertia_
        for n in (1, 3, 9)
    ]
    assert inertias == sorted(inertias, reverse=True)


def test_cosine_finds_directions(backend):
    generator = torch.Generator().manual_seed(0)
    directions = torch.eye(4).repeat_interleave(50, dim=0)
    lengths = torch.rand((200, 1), generator=generator) * 1000 + 1e-3
    points = (directions + 0.05 * torch.randn((200, 4), generator=generator)) * lengths
    model = pcclust.KMeans(4, metric="cosine", n_init=5, random_state=0).fit(points)
    assert model.labels_.view(4, 50).eq(model.labels_[::50, None]).all()
    cosines = torch.nn.functional.cosine_similarity(
        points[:, None], model.cluster_centers_[None], dim=-1
    )
    torch.testing.assert_close(model.transform(points), 1 - cosines, rtol=1e-3, atol=1e-5)
    assert model.inertia_ == pytest.approx(
        float(2 * (1 - cosines.max(dim=1).values).sum()), rel=1e-3
    )


def test_opposite_directions_leave_a_center_where_it_was(backend):
    points = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    model = pcclust.KMeans(1, metric="cosine", init=torch.tensor([[0.0, 2.0]])).fit(points)
    assert model.cluster_centers_.tolist() == [[0.0, 1.0]]


def test_batches_follow_the_mean(backend):
    points, _ = blobs()
    model = pcclust.KMeans(1, random_state=0)
    weights = torch.arange(1.0, 301.0)
    for batch in range(0, 300, 60):
        model.partial_fit(points[batch : batch + 60], sample_weight=weights[batch : batch + 60])
    mean = (points.double() * weights[:, None]).sum(dim=0) / weights.sum()
    torch.testing.assert_close(model.cluster_centers_[0].double(), mean, rtol=1e-5, atol=1e-5)
    assert model.n_iter_ == 5


def test_batches_find_blobs_and_start_anew_after_fit(backend):
    points, truth = blobs()
    model = pcclust.KMeans(5, random_state=1)
    for _ in range(4):
        for batch in range(0, 300, 100):
            model.partial_fit(points[batch : batch + 100])
    labels = model.predict(points)
    assert len({(int(a), int(b)) for a, b in zip(labels, truth, strict=True)}) == 5
    model.fit(points)
    model.partial_fit(points[:50])
    assert model.n_iter_ == 1


def test_the_tolerance_has_no_unit():
    """It is a share of the variance: in meters or in millimetres, one stops at the same step."""
    points = torch.randn((2000, 4), generator=torch.Generator().manual_seed(2))
    steps = {
        scale: pcclust.KMeans(40, tol=0.1, random_state=0).fit(points * scale).n_iter_
        for scale in (2.0**-12, 1.0, 2.0**12)
    }
    exact = pcclust.KMeans(40, tol=0, random_state=0).fit(points).n_iter_
    assert len(set(steps.values())) == 1
    assert 2 < steps[1.0] < exact - 2
