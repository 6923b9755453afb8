"""PCA whitening against the eigenvectors of the covariance."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcclust.cluster import PCAWhitening, unit_length


def correlated(count=200, width=6, rank=6, seed=0, dtype=np.float64):
    generator = np.random.default_rng(seed)
    mixed = generator.normal(size=(count, rank)) @ generator.normal(size=(rank, width))
    return (mixed + 5).astype(dtype)


def by_covariance(X, components, eps):
    """Whitens by the eigenvectors of the covariance matrix."""
    values, vectors = np.linalg.eigh(np.cov(X.T.astype(np.float64)))
    values, vectors = values[::-1][:components], vectors[:, ::-1][:, :components]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), range(components)])
    return (X - X.mean(axis=0)) @ vectors / np.sqrt(values + eps * values[0])


@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 1e-3), (np.float64, 1e-9)])
@pytest.mark.parametrize("components", [None, 3])
@pytest.mark.parametrize("eps", [0.0, 1e-6, 0.1])
def test_it_whitens_as_the_covariance_says(dtype, close, components, eps):
    X = correlated(dtype=dtype)
    model = PCAWhitening(components, eps=eps).fit(X)
    Z = model.transform(X)
    assert Z.dtype == dtype
    assert Z.shape == (200, components or 6)
    np.testing.assert_allclose(Z, by_covariance(X, components or 6, eps), atol=close)
    np.testing.assert_allclose(
        model.components_ @ model.components_.T, np.eye(Z.shape[1]), atol=close
    )
    if eps == 0:
        np.testing.assert_allclose(np.cov(Z.T), np.eye(Z.shape[1]), atol=close)


def test_new_data_are_whitened_by_what_was_fitted():
    X, new = correlated(seed=1), correlated(seed=2)
    model = PCAWhitening(eps=0).fit(X)
    expected = (new - X.mean(axis=0)) @ model.components_.T / np.sqrt(model.explained_variance_)
    np.testing.assert_allclose(model.transform(new), expected, atol=1e-10)


@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(1, 12), st.integers(1, 5))
def test_data_of_any_rank_give_as_many_components_as_they_span(seed, count, width, rank):
    X = correlated(count, width, rank, seed)
    model = PCAWhitening().fit(X)
    expected = np.linalg.matrix_rank(X - X.mean(axis=0), tol=1e-9)
    assert model.n_components_ == expected == min(count - 1, width, rank)
    assert np.isfinite(model.transform(X)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_components_of_rounding_are_left_out_and_said(dtype):
    X = correlated(500, 40, rank=7, dtype=dtype)
    with pytest.warns(UserWarning, match="spans 7 dimensions, fewer than n_components=12"):
        model = PCAWhitening(12).fit(X)
    assert model.n_components_ == 7


def test_signs_and_bits_are_the_same_in_every_run_and_order():
    X = correlated()
    first, again = (PCAWhitening().fit(X) for _ in range(2))
    np.testing.assert_array_equal(first.components_, again.components_)
    mirrored = PCAWhitening().fit(X[::-1])
    np.testing.assert_allclose(first.components_, mirrored.components_, atol=1e-9)
    largest = np.abs(first.components_).argmax(axis=1)
    assert (first.components_[range(6), largest] > 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_tensors_come_back_as_tensors(dtype):
    X = torch.from_numpy(correlated()).to(dtype)
    Z = PCAWhitening(2).fit_transform(X)
    assert isinstance(Z, torch.Tensor)
    assert Z.dtype == (torch.float32 if dtype == torch.float16 else dtype)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_unit_does_not_matter(scale):
    X = correlated()
    expected = PCAWhitening().fit_transform(X)
    np.testing.assert_allclose(PCAWhitening().fit_transform(X * scale), expected, atol=1e-7)


@pytest.mark.parametrize(
    ("X", "options", "error", "message"),
    [
        (np.full((5, 3), 0.1), {}, ValueError, "all 5 rows of X are equal"),
        (np.zeros((5, 3)), {}, ValueError, "all 5 rows of X are equal"),
        (np.ones((1, 3)), {}, ValueError, "1 sample"),
        (np.eye(3), {"n_components": 4}, ValueError, "n_components=4 must be from 1 to the 3"),
        (np.eye(3), {"n_components": 0}, ValueError, "n_components=0"),
        (np.eye(3), {"n_components": 1.5}, TypeError, "must be an int or None, got 1.5"),
        (np.eye(3), {"eps": -1}, ValueError, "eps=-1"),
        (np.array([[0, np.inf]]), {}, ValueError, r"X\[0\] holds NaN or inf"),
    ],
)
def test_wrong_input_is_named(X, options, error, message):
    with pytest.raises(error, match=message):
        PCAWhitening(**options).fit(X)


def test_another_width_and_no_fit_are_named():
    with pytest.raises(ValueError, match="PCAWhitening is not fitted yet"):
        PCAWhitening().transform(np.eye(3))
    with pytest.raises(ValueError, match="X has 2 features, but PCAWhitening is expecting 3"):
        PCAWhitening().fit(np.eye(3)).transform(np.ones((4, 2)))


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_rows_get_length_one_and_zeros_stay(kind):
    X = kind(np.array([[3.0, 4.0], [0.0, 0.0], [1e-200, 0.0], [-1e150, 1e150]]))
    Z = unit_length(X)
    assert type(Z) is type(X)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(Z, [[0.6, 0.8], [0, 0], [1, 0], [-half, half]], rtol=1e-12)
