"""Shapes that a model takes for something else when they are turned."""

import base64
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pcclust.data.dataset import UP_AXES, PointDataset, UpAxis
from pcclust.data.transforms import turn
from pcclust.evaluate.labelled import classes_of

SHOWN = 12


@dataclass(frozen=True, eq=False)
class Failure:
    """One wrong prediction.

    Attributes:
        name: of the shape.
        label: its class.
        upright: the class predicted when it stands upright.
        predicted: the class predicted when it is turned.
        tilt: the angle between its up axis and the vertical, in degrees.
        points: ``(N, 3)`` float32, as the model saw them, with the vertical along z.
        height: ``(N,)`` float32, the points' height when the shape stood upright.
    """

    name: str
    label: int
    upright: int
    predicted: int
    tilt: float
    points: NDArray[np.float32]
    height: NDArray[np.float32]

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON can hold; arrays are base64 of little-endian float32."""
        arrays = {"points": _text(self.points), "height": _text(self.height)}
        return {**self.__dict__, **arrays}

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> "Failure":
        """Returns the failure that `to_dict` told of."""
        points, height = _array(told["points"]).reshape(-1, 3), _array(told["height"])
        return cls(**{**told, "points": points, "height": height})


def find_failures(
    shapes: PointDataset,
    upright: NDArray[np.int64],
    predictions: NDArray[np.int64],
    rotations: Tensor,
    up_axis: UpAxis,
) -> tuple[Failure, ...]:
    """Chooses wrong predictions to look at, of as many classes as possible.

    Shapes that are known upright come first; of each class those that fail most often, in the
    first round in which they do.

    Args:
        shapes: S upright shapes.
        upright: ``(S,)`` predictions for them.
        predictions: ``(R, S)`` predictions for the turned ones.
        rotations: ``(R, S, 3, 3)``, how they were turned.
        up_axis: the axis against gravity.

    Returns:
        At most 12.
    """
    labels = classes_of(shapes)
    wrong = predictions != labels
    often = wrong.sum(axis=0)
    known = upright == labels
    order = np.lexsort((-often, ~known))
    of_class: dict[int, deque[int]] = defaultdict(deque)
    for shape in order[often[order] > 0].tolist():
        of_class[int(labels[shape])].append(shape)
    chosen: list[int] = []
    queues = deque(of_class.values())
    while queues and len(chosen) < SHOWN:
        queue = queues.popleft()
        chosen.append(queue.popleft())
        if queue:
            queues.append(queue)
    return tuple(
        _failure(shapes, shape, upright, predictions, int(wrong[:, shape].argmax()), rotations, up)
        for up in [UP_AXES.index(up_axis)]
        for shape in chosen
    )


def _failure(
    shapes: PointDataset,
    shape: int,
    upright: NDArray[np.int64],
    predictions: NDArray[np.int64],
    round_: int,
    rotations: Tensor,
    up: int,
) -> Failure:
    points, rotation = shapes[shape].points.cpu(), rotations[round_, shape]
    turned = turn(points[None], rotation[None])[0]
    cosine = float(rotation[up, up].clamp(-1, 1))
    return Failure(
        name=shapes.names[shape],
        label=int(classes_of(shapes)[shape]),
        upright=int(upright[shape]),
        predicted=int(predictions[round_, shape]),
        tilt=round(float(np.degrees(np.arccos(cosine))), 1),
        points=turned.roll(2 - up, dims=1).contiguous().numpy(),
        height=points[:, up].contiguous().numpy(),
    )


def _text(array: NDArray[np.float32]) -> str:
    return base64.b64encode(array.astype("<f4").tobytes()).decode("ascii")


def _array(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32)
