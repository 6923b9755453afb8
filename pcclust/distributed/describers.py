"""What makes the columns of a shard from shapes: all that determines them, and the work itself."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from pcclust.data.rri_batch import POINTS_PER_BATCH, describe_readable
from pcclust.data.shape_source import in_batches, in_fixed_batches
from pcclust.data.streaming import NamedCloud, ReadFailure, ReadResult
from pcclust.distributed.shard_file import ragged
from pcclust.evaluate.embedding import Encoding, encoder_of, in_unit_sphere
from pcclust.evaluate.forward import Precision, Predictor, randomness

FeatureType = Literal["float32", "float16"]
Columns: TypeAlias = dict[str, NDArray[Any]]
Batch: TypeAlias = tuple[list[NamedCloud], list[ReadFailure]]


class Describer(ABC):
    """Makes the columns of a shard; a picklable dataclass of all that determines them.

    Attributes:
        kind: the command.
        num_points: of each shape; None where shapes differ.
        seed: of the sampling.
        model: SHA-256 of the weights; empty without.
        granularity: shards begin at multiples of so many shapes.
        points: whether the shapes are kept as they are, and so which way is up.
    """

    kind: ClassVar[str]
    num_points: int | None
    seed: int
    points: bool = False

    @property
    def model(self) -> str:
        """SHA-256 of the weights; empty without."""
        return ""

    @property
    def granularity(self) -> int:
        """Shards begin at multiples of so many shapes."""
        return 1

    def settings(self) -> dict[str, Any]:
        """Returns what else determines the features."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def doubt(self) -> str:
        """Returns what has to be said of the features before they are made; mostly nothing."""
        return ""

    def on_gpu(self) -> "Describer":
        """Returns the same for a worker that has a GPU.

        Raises:
            ValueError: it would be of no use.
        """
        raise ValueError(f"pcclust {self.kind} --shards computes on processors: leave --gpus out")

    @abstractmethod
    def bytes_per_shape(self) -> int | None:
        """Returns about how large a row is; None where shapes differ."""

    @abstractmethod
    def batches(self, results: Iterable[ReadResult], names: Sequence[str]) -> Iterator[Batch]:
        """Groups what was read of the shapes of a shard, whose names are all of its shapes."""

    @abstractmethod
    def describe(self, shapes: list[NamedCloud]) -> tuple[Columns, list[ReadFailure]]:
        """Returns the columns of a batch, none of no shapes, and why some shapes have none."""

    @abstractmethod
    def joined(self, parts: Sequence[Columns]) -> Mapping[str, object]:
        """Returns the columns of a shard as `encode_shard` takes them, also of no parts."""


@dataclass(frozen=True, kw_only=True)
class EmbedDescriber(Describer):
    """A vector of each shape, by a trained encoder that is loaded when it is first asked.

    Attributes:
        weights: as `pcclust.load` takes them.
        weights_sha256: by which they are known.
        num_points: of each shape.
        points: whether they are kept, too.
        seed: of the sampling.
        precision: of products.
        batch_size: shapes that are described at once.
        dtype: of the vectors.
        device: where the encoder runs.
    """

    weights: str
    weights_sha256: str
    num_points: int
    points: bool
    seed: int
    precision: Precision
    batch_size: int
    dtype: FeatureType
    device: str | None

    kind: ClassVar[str] = "embed"

    @property
    def model(self) -> str:
        """SHA-256 of the weights."""
        return self.weights_sha256

    @property
    def granularity(self) -> int:
        """The shapes of a batch, in whose company a vector is rounded."""
        return self.batch_size

    def settings(self) -> dict[str, Any]:
        """Returns what else determines the features: not where weights lie or run."""
        elsewhere = ("weights", "weights_sha256", "device")
        return {name: value for name, value in asdict(self).items() if name not in elsewhere}

    def doubt(self) -> str:
        """Says of an encoder that answers twice differently that its vectors are one of many."""
        said = randomness(self._predictor.own_change(_sample(self.num_points)))
        return f"{said} So do the features that are written." if said else ""

    def on_gpu(self) -> "EmbedDescriber":
        """Returns the same for a worker that has a GPU: it asks the encoder there."""
        return replace(self, device=self.device or "cuda")

    def bytes_per_shape(self) -> int:
        """Returns about how large a row is."""
        each = np.dtype(self.dtype).itemsize
        return self._predictor.num_outputs * each + 12 * self.num_points * self.points

    def batches(self, results: Iterable[ReadResult], names: Sequence[str]) -> Iterator[Batch]:
        """Groups shapes by their places, as the command for one machine does."""
        return in_fixed_batches(map(in_unit_sphere, results), names, self.batch_size)

    def describe(self, shapes: list[NamedCloud]) -> tuple[Columns, list[ReadFailure]]:
        """Returns name, size, features and perhaps points of shapes."""
        if not shapes:
            return {}, []
        points = np.stack([shape.points for shape in shapes])
        features = self._predictor(torch.from_numpy(points)).numpy()
        columns: Columns = {
            "name": _names([shape.name for shape in shapes]),
            "size": np.full(len(shapes), self.num_points, np.int64),
            "features": _in_type(features, self.dtype),
            "points": points.reshape(len(shapes), -1),
        }
        return columns, []

    def joined(self, parts: Sequence[Columns]) -> Mapping[str, object]:
        """Returns the columns of a shard."""
        none: Columns = {
            "name": _names([]),
            "size": np.empty(0, np.int64),
            "features": np.empty((0, self._predictor.num_outputs), self.dtype),
        }
        if self.points:
            none["points"] = np.empty((0, 3 * self.num_points), np.float32)
        return {name: np.concatenate([none[name], *(p[name] for p in parts)]) for name in none}

    @cached_property
    def _predictor(self) -> Predictor:
        encoding = Encoding(encoder_of(self.weights), self.batch_size, self.device, self.precision)
        return encoding.predictor(_sample(self.num_points))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_predictor"}


@dataclass(frozen=True, kw_only=True)
class RRIDescriber(Describer):
    """Rotation-invariant features of each point.

    Attributes:
        k: how many neighbours describe a point.
        num_points: of each shape; as they are if None.
        seed: of the sampling.
        dtype: of the features.
    """

    k: int
    num_points: int | None
    seed: int
    dtype: FeatureType

    kind: ClassVar[str] = "rri"

    def bytes_per_shape(self) -> int | None:
        """Returns about how large a row is; None where shapes differ."""
        if self.num_points is None:
            return None
        return self.num_points * (4 * self.k * np.dtype(self.dtype).itemsize + 4 * self.k + 12)

    def batches(self, results: Iterable[ReadResult], names: Sequence[str]) -> Iterator[Batch]:
        """Groups shapes until they have enough points."""
        return in_batches(results, _has_enough)

    def describe(self, shapes: list[NamedCloud]) -> tuple[Columns, list[ReadFailure]]:
        """Returns name, size, centroid, and of each point place, neighbours and features."""
        found, failures = describe_readable(shapes, self.k)
        if found is None:
            return {}, failures
        columns: Columns = {
            "name": _names(found.names),
            "size": found.sizes,
            "centroid": found.centroids,
            "points": found.points,
            "neighbors": found.neighbors,
            "features": _in_type(found.features.reshape(-1, 4 * self.k), self.dtype),
        }
        return columns, failures

    def joined(self, parts: Sequence[Columns]) -> Mapping[str, object]:
        """Returns the columns of a shard; those of points are a list a shape."""
        none: Columns = {
            "name": _names([]),
            "size": np.empty(0, np.int64),
            "centroid": np.empty((0, 3)),
            "points": np.empty((0, 3), np.float32),
            "neighbors": np.empty((0, self.k), np.int32),
            "features": np.empty((0, 4 * self.k), self.dtype),
        }
        whole = {name: np.concatenate([none[name], *(p[name] for p in parts)]) for name in none}
        per_point = ("points", "neighbors", "features")
        lists = {name: ragged(whole[name], whole["size"]) for name in per_point}
        return {**whole, **lists}


def _has_enough(shapes: list[NamedCloud]) -> bool:
    return sum(len(shape.points) for shape in shapes) >= POINTS_PER_BATCH


def _sample(num_points: int) -> torch.Tensor:
    """Returns two clouds to try an encoder with."""
    return torch.rand(2, num_points, 3, generator=torch.Generator().manual_seed(0)) - 0.5


def _names(names: Sequence[str]) -> NDArray[Any]:
    return np.array(list(names), dtype=object)


def _in_type(features: NDArray[np.float32], dtype: FeatureType) -> NDArray[np.floating]:
    """Returns features in the type they are stored in, if they can be."""
    largest = float(np.abs(features).max())
    if largest > np.finfo(dtype).max:
        raise ValueError(
            f"a feature of {largest:g} is beyond {dtype}, which ends at "
            f"{np.finfo(dtype).max:g}: use --dtype float32"
        )
    return features.astype(dtype, copy=False)
