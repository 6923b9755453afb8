"""Pseudo-labels on disk, and what they belong to."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust._files import whole_file
from pcclust._names import todays_names
from pcclust._version import __version__
from pcclust.cluster import PseudoLabels


@dataclass(frozen=True)
class StoredLabels:
    """The clusters of a round.

    Attributes:
        labels: ``(N,)`` int64.
        sizes: ``(k,)`` int64.
        measures: perplexity of the sizes, inertia and, from the second round on, NMI with the
            round before.
        settings: how they were made.
        key: of settings, weights and data.
    """

    labels: Tensor
    sizes: NDArray[np.int64]
    measures: Mapping[str, float]
    settings: Mapping[str, Any]
    key: str

    def describe(self) -> str:
        """Says how sound the clusters are."""
        nmi = self.measures.get("nmi")
        before = "" if nmi is None else f"; NMI with the round before {nmi:.3f}"
        empty = int((self.sizes == 0).sum())
        return (
            f"{len(self.labels):,} shapes in {len(self.sizes)} clusters of {self.sizes.min():,} to "
            f"{self.sizes.max():,}, {empty} empty, as even as {self.measures['perplexity']:.1f} of "
            f"equal size{before}"
        )

    def summary(self) -> dict[str, Any]:
        """Returns what a card says of them."""
        return {**self.settings, **self.measures}


def labels_key(
    settings: Mapping[str, Any], weights_sha256: str, data_sha256: str, previous: str | None
) -> str:
    """Returns the SHA-256 of all that decides pseudo-labels.

    Args:
        settings: of the clustering.
        weights_sha256: of the encoder.
        data_sha256: of the shapes.
        previous: the key of the round before, or None.
    """
    # Another version may number clusters differently.
    parts = [dict(settings), weights_sha256, data_sha256, previous, __version__]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def write_labels(
    path: Path, key: str, settings: Mapping[str, Any], found: PseudoLabels, names: Sequence[str]
) -> StoredLabels:
    """Writes pseudo-labels as an NPZ file, whole or not at all.

    It holds ``labels`` ``(N,)``, ``names`` ``(N,)``, ``sizes`` ``(k,)`` and ``about``, JSON of
    settings, measures and key.

    Args:
        path: the file; its folder exists.
        key: see `labels_key`.
        settings: of the clustering.
        found: the labels.
        names: of the shapes.
    """
    measures = {"perplexity": found.perplexity, "inertia": found.inertia}
    if found.nmi is not None:
        measures["nmi"] = found.nmi
    about = {"key": key, "settings": dict(settings), "measures": measures}
    labels = torch.as_tensor(found.labels, dtype=torch.int64)
    with whole_file(path) as file:
        np.savez(
            file,
            labels=labels.numpy(),
            names=np.array(names),
            sizes=found.sizes,
            about=np.array(json.dumps(about)),
        )
    return StoredLabels(labels, found.sizes, measures, dict(settings), key)


def read_labels(path: Path, key: str) -> StoredLabels | None:
    """Reads pseudo-labels; returns None where they are missing, damaged, or of another key."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            labels, sizes = torch.from_numpy(arrays["labels"]), arrays["sizes"]
    except Exception:  # damage shows as nearly any exception, and all of it can be computed again
        return None
    if about.get("key") != key:
        return None
    return StoredLabels(labels, sizes, todays_names(about["measures"]), about["settings"], key)
