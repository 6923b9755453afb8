"""Features of shapes, made once for methods that learn on them: given, or encoded."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pcclust._files import whole_file
from pcclust.data import PointDataset
from pcclust.data.feature_file import read_feature_file
from pcclust.data.fingerprint import data_sha256
from pcclust.methods.encoders import Encoder, load_encoder
from pcclust.methods.unlabelled import encode_shapes
from pcclust.nn.weights import read_card
from pcclust.training import Progress


@dataclass(frozen=True)
class FeatureSet:
    """One row a shape.

    Attributes:
        features: ``(N, C)`` float32.
        sha256: of the features.
        encoder: that made them, where it is known.
    """

    features: Tensor
    sha256: str
    encoder: Encoder | None = None

    def __len__(self) -> int:
        return len(self.features)

    def describe(self) -> str:
        """Says how many there are."""
        made = "" if self.encoder is None else f" by {self.encoder.source}"
        return f"features: {len(self):,} shapes, {self.features.shape[1]:,} channels{made}"


def feature_set(features: Tensor, encoder: Encoder | None = None) -> FeatureSet:
    """Returns features as a set.

    Raises:
        ValueError: fewer than two rows, NaN or inf, or all rows alike.
    """
    rows = features.float().contiguous()
    if len(rows) < 2:
        raise ValueError("there is a single row of features; it takes many to learn what differs")
    if not bool(rows.isfinite().all()):
        raise ValueError("the features hold NaN or inf")
    if bool((rows == rows[0]).all()):
        raise ValueError(f"the features of all {len(rows):,} shapes are the same: nothing to learn")
    return FeatureSet(rows, hashlib.sha256(rows.numpy().data).hexdigest(), encoder)


def open_features(path: Path) -> FeatureSet:
    """Reads a file of features, as `pcclust embed` writes it; labels are not looked at.

    Raises:
        OSError: it cannot be read.
        ValueError: no features in it, or nothing that can be learned from.
    """
    features, _ = read_feature_file(path)
    try:
        return feature_set(torch.from_numpy(np.array(features, order="C")))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


class EncodeOnce:
    """A stage that encodes all shapes, plain and whole, and keeps the features in a file.

    Args:
        shapes: N of them.
        weights: of the encoder, as `pcclust.load` takes them.
    """

    def __init__(self, shapes: PointDataset, weights: str | Path) -> None:
        self.shapes = shapes
        self.encoder = load_encoder(weights)
        parts = [read_card(weights)["sha256"], data_sha256(shapes)]
        self.key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def obtain(self, path: Path, progress: Progress) -> FeatureSet:
        """Returns the features, which are computed unless they are there."""
        file = path.with_name(f"{path.name}.npz")
        found = self._read(file)
        if found is None:
            network = self.encoder.network
            network.to("cuda" if torch.cuda.is_available() else "cpu")
            found = encode_shapes(network, self.shapes, progress=progress)
            network.cpu()
            file.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(file) as opened:
                np.savez(
                    opened,
                    features=found.numpy(),
                    names=np.array(self.shapes.names),
                    key=np.array(self.key),
                )
        return feature_set(found, self.encoder)

    def _read(self, file: Path) -> Tensor | None:
        try:
            with np.load(file, allow_pickle=False) as arrays:
                if str(arrays["key"]) == self.key:
                    return torch.from_numpy(arrays["features"])
        except Exception:  # damage shows as nearly any exception, and all can be computed again
            return None
        return None
