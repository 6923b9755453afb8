"""Features in the plane, so that similar shapes lie near each other."""

import numpy as np
from numpy.typing import NDArray

PERPLEXITY = 30.0
LEAST = 8  # shapes for t-SNE; fewer have no neighbourhoods to keep


def map_features(features: NDArray[np.floating], seed: int = 0) -> tuple[NDArray[np.float64], str]:
    """Puts features into the square [-1, 1]² by t-SNE, or by two principal components.

    Args:
        features: ``(N, D)`` finite, not all equal.
        seed: of t-SNE.

    Returns:
        ``(N, 2)`` places, and a sentence on how they came about: t-SNE (scikit-learn, begun from
        the principal components, perplexity 30 or a quarter of N), or the principal components
        of fewer than 8 shapes.

    Raises:
        ValueError: features that are all equal or not finite.

    Van der Maaten and Hinton, "Visualizing data using t-SNE" (JMLR 2008).

    Example:
        >>> places, how = map_features(np.random.default_rng(0).normal(size=(5, 3)))
        >>> places.shape, how
        ((5, 2), 'The first two principal components.')
    """
    places = _principal(features)
    how = "The first two principal components."
    if len(features) >= LEAST:
        from sklearn.manifold import TSNE

        perplexity = min(PERPLEXITY, len(features) / 4)
        # t-SNE begins small: 1e-4 is the deviation that its authors begin with.
        begin = 1e-4 * places / places[:, 0].std()
        tsne = TSNE(2, perplexity=perplexity, init=begin, random_state=seed)
        places = tsne.fit_transform(features).astype(np.float64)
        how = f"t-SNE, perplexity {perplexity:.3g}, seed {seed}."
    places = places - (places.max(axis=0) + places.min(axis=0)) / 2
    return places / np.abs(places).max(), how


def _principal(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Returns ``(N, 2)`` deviations along the principal axes; 0 along an axis that is not there."""
    from pcclust.cluster import (
        PCAWhitening,
    )  # scikit-learn takes a second and 110 MB: for those who need it

    model = PCAWhitening().fit(features.astype(np.float64))
    axes = model.components_[:2]
    places = np.zeros((len(features), 2))
    places[:, : len(axes)] = (features - model.mean_) @ axes.T
    return places
