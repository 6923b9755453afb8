"""The kernel map against scikit-learn's Nystroem and against kernel values written out."""

import numpy as np
import pytest
import torch

from pcclust.cluster import KernelMap


def features(count=60, seed=0, dtype=np.float64):
    generator = np.random.default_rng(seed)
    mixed = generator.normal(size=(count, 4)) @ generator.normal(size=(4, 6))
    return (mixed * [1, 10, 100, 1, 1, 0.01] + 5).astype(dtype)


def scaled(X, blocks):
    widths = np.repeat(blocks, blocks)
    return (X - X.mean(axis=0)) / X.std(axis=0) / np.sqrt(widths)


def mean_distance(Z):
    pairs = [((a - b) ** 2).sum() for i, a in enumerate(Z) for b in Z[:i]]
    return np.mean(pairs)


@pytest.mark.parametrize("blocks", [(6,), (2, 4)])
@pytest.mark.parametrize("bandwidth", [0.5, 2.0])
def test_inner_products_are_kernel_values(blocks, bandwidth):
    X = features()
    model = KernelMap(1000, bandwidth=bandwidth, blocks=blocks).fit(X)
    Z, mapped = scaled(X, blocks), model.transform(X)
    assert mapped.shape == (60, 60)
    between = ((Z[:, None] - Z[None]) ** 2).sum(axis=2)
    expected = np.exp(-between / (bandwidth * mean_distance(Z)))
    np.testing.assert_allclose(mapped @ mapped.T, expected, atol=1e-6)


@pytest.mark.parametrize("landmarks", ["k-means++", "random"])
@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 2e-3), (np.float64, 1e-7)])
def test_it_is_scikit_learns_map_of_the_same_landmarks(landmarks, dtype, close):
    kernel_approximation = pytest.importorskip("sklearn.kernel_approximation")
    X, new = features(dtype=dtype), features(20, seed=1, dtype=dtype)
    model = KernelMap(8, landmarks=landmarks, random_state=0).fit(X)
    theirs = kernel_approximation.Nystroem(gamma=model.gamma_, n_components=8)
    theirs.fit(model.landmarks_.astype(np.float64))  # all of them, in an order of its own
    Z = (new - X.mean(axis=0)) / X.std(axis=0) / np.sqrt(6)
    expected = theirs.transform(Z.astype(np.float64))[:, np.argsort(theirs.component_indices_)]
    found = model.transform(new)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, atol=close)


def test_tensors_and_arrays_agree_and_seeds_decide():
    X = features()
    arrays = KernelMap(10, random_state=3).fit(X)
    tensors = KernelMap(10, random_state=3).fit(torch.from_numpy(X))
    assert isinstance(tensors.transform(torch.from_numpy(X)), torch.Tensor)
    np.testing.assert_array_equal(arrays.transform(X), tensors.transform(torch.from_numpy(X)))
    other = KernelMap(10, random_state=4).fit(X)
    assert sorted(arrays.landmark_indices_) != sorted(other.landmark_indices_)


def test_landmarks_are_different_rows():
    X = features()
    for landmarks in ("k-means++", "random"):
        model = KernelMap(20, landmarks=landmarks, random_state=0).fit(X)
        assert len(set(model.landmark_indices_.tolist())) == 20
        np.testing.assert_allclose(
            model.landmarks_, scaled(X, (6,))[model.landmark_indices_], atol=1e-9
        )


def test_a_constant_column_changes_nothing_but_the_width_of_its_block():
    X = features()
    flat = np.column_stack([X, np.full(60, 1e6)])
    expected = KernelMap(60).fit_transform(X)
    np.testing.assert_allclose(KernelMap(60).fit_transform(flat), expected, atol=1e-9)


def test_duplicate_rows_are_mapped_to_finite_numbers():
    X = np.repeat(features(5), 4, axis=0)
    mapped = KernelMap(20).fit_transform(X)
    assert np.isfinite(mapped).all()
    np.testing.assert_allclose((mapped**2).sum(axis=1), 1, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "X", "error", "match"),
    [
        ({"n_components": 0}, features(), ValueError, "n_components=0"),
        ({"n_components": 2.0}, features(), TypeError, "must be an int"),
        ({"bandwidth": 0}, features(), ValueError, "bandwidth=0"),
        ({"landmarks": "best"}, features(), ValueError, "'best'"),
        ({"blocks": (2, 3)}, features(), ValueError, "add up to the 6"),
        ({}, np.ones((4, 2)), ValueError, "all 4 rows of X are equal"),
        ({}, np.full((4, 2), np.nan), ValueError, "NaN"),
    ],
)
def test_it_refuses(settings, X, error, match):
    with pytest.raises(error, match=match):
        KernelMap(**settings).fit(X)


def test_it_refuses_features_of_another_width():
    model = KernelMap(5, random_state=0).fit(features())
    with pytest.raises(ValueError, match="expecting 6 features"):
        model.transform(features()[:, :4])
