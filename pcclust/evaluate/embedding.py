"""One vector for each shape, by any model."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pcclust.data.dataset import PointDataset
from pcclust.data.streaming import NamedCloud, ReadFailure
from pcclust.data.transforms import UnitSphere
from pcclust.evaluate.forward import BatchPredictor, Layout, Model, Precision, Predictor
from pcclust.nn.clusterer import encoder_of_shapes
from pcclust.nn.weights import load
from pcclust.ops._arrays import to_tensor

Progress: TypeAlias = Callable[[int, int], object]


@overload
def embed(
    model: Model | str | os.PathLike[str],
    shapes: PointDataset | Tensor,
    *,
    batch_size: int = ...,
    device: torch.device | str | None = ...,
    precision: Precision = ...,
    layout: Layout = ...,
    progress: Progress | bool = ...,
) -> Tensor: ...


@overload
def embed(
    model: Model | str | os.PathLike[str],
    shapes: NDArray[np.floating],
    *,
    batch_size: int = ...,
    device: torch.device | str | None = ...,
    precision: Precision = ...,
    layout: Layout = ...,
    progress: Progress | bool = ...,
) -> NDArray[np.float32]: ...


def embed(
    model: Model | str | os.PathLike[str],
    shapes: PointDataset | Tensor | NDArray[np.floating],
    *,
    batch_size: int = 32,
    device: torch.device | str | None = None,
    precision: Precision = "float32",
    layout: Layout = "auto",
    progress: Progress | bool = False,
) -> Any:
    """Describes each shape by one vector.

    A module is asked in evaluation mode and without gradients, and left in the mode it was in.

    Args:
        model: a module or function from clouds to vectors ``(B, C)``; of a `Classifier` its
            backbone; or what `pcclust.load` takes.
        shapes: N of them, or ``(N, P, 3)`` torch or NumPy. Encoders that come with pcclust expect
            shapes centred, with the farthest point at radius 1; see `UnitSphere`.
        batch_size: shapes that the model is asked about at once, at most; batches have nearly equal
            sizes, and which they are changes a vector by rounding at most.
        device: where the model runs; if None where its parameters are.
        precision: "bfloat16" lets torch's autocast compute products in it; vectors stay float32.
        layout: of the clouds that the model takes: "BN3" for ``(B, P, 3)``, "B3N" for
            ``(B, 3, P)``; "auto" tries the two.
        progress: whether a bar is drawn, in a terminal or a notebook; or what is told how many
            shapes are done, of how many.

    Returns:
        ``(N, C)`` float32 on the CPU; NumPy for NumPy.

    Raises:
        TypeError: a model that cannot be called.
        ValueError: no shapes, or a model that fails or returns something else than finite
            ``(B, C)``.

    Example:
        >>> import pcclust, torch
        >>> shapes = torch.rand(5, 64, 3)
        >>> pcclust.embed(lambda clouds: clouds.amax(dim=1), shapes).shape
        torch.Size([5, 3])
        >>> pcclust.embed("clusternet-contrastnet-modelnet40", shapes).shape  # doctest: +SKIP
        torch.Size([5, 2048])
    """
    clouds = shapes if isinstance(shapes, PointDataset) else PointDataset(to_tensor(shapes))
    total, done = len(clouds), 0
    if not total:
        raise ValueError("there are no shapes to describe")

    def advance(count: int) -> None:
        nonlocal done
        done += count
        tell(done, total)

    predictor = Predictor(
        encoder_of(model),
        clouds.batch(torch.arange(min(2, total))),
        layout=layout,
        device=device,
        precision=precision,
    )
    with _told(progress) as tell:
        features = BatchPredictor(predictor, batch_size, advance).outputs(clouds)
    return features.numpy() if isinstance(shapes, np.ndarray) else features


def encoder_of(model: Model | str | os.PathLike[str]) -> Model:
    """Returns what gives features: of pcclust's classifiers and clusterers their backbone.

    Args:
        model: itself, or what `pcclust.load` takes.

    Raises:
        ValueError: a model that was trained on features, and makes none.
    """
    if isinstance(model, str | os.PathLike):
        return encoder_of_shapes(load(model), str(model))
    return encoder_of_shapes(model, "the model") if isinstance(model, nn.Module) else model


class Encoding(NamedTuple):
    """How shapes are described.

    Attributes:
        encoder: what is asked.
        batch_size: shapes at once.
        device: where it runs; where its parameters are if None.
        precision: of its products.
    """

    encoder: Model
    batch_size: int
    device: str | None
    precision: Precision

    def predictor(self, sample: Tensor) -> Predictor:
        """Returns what asks the encoder about clouds like these."""
        return Predictor(
            self.encoder, sample, layout="BN3", device=self.device, precision=self.precision
        )


def in_unit_sphere(shape: NamedCloud | ReadFailure) -> NamedCloud | ReadFailure:
    """Returns a shape that was read, float32, in the unit sphere, unless it has no extent.

    Args:
        shape: with its points, or why it has none, which is returned as it is.
    """
    if isinstance(shape, ReadFailure):
        return shape
    if (shape.points == shape.points[0]).all():
        reason = f"{shape.name}: all its points coincide, so it has no shape"
        return ReadFailure(shape.name, reason)
    # In the precision it was read in, so that georeferenced coordinates keep their detail.
    points = UnitSphere()(torch.tensor(shape.points)[None])[0].float().numpy()
    return NamedCloud(shape.name, points)


@contextmanager
def _told(progress: Progress | bool) -> Iterator[Progress]:
    """Gives what is told how many shapes are done: a bar, where one is asked for."""
    if progress is True:
        from pcclust._progress import shown_progress  # brings rich, for which few need to wait

        with shown_progress("features", "shapes") as bar:
            yield bar
    else:
        yield progress or (lambda done, total: None)
