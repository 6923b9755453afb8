"""Features of shapes as they stand and turned any way, made once for all who have one encoder."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pcclust.evaluate.forward import Advance, BatchPredictor, Layout, Model, Predictor
from pcclust.evaluate.rotations import Rotations


class Posed(NamedTuple):
    """Features of the same shapes.

    Attributes:
        upright: ``(N, C)`` of shapes as they stand.
        turned: ``(N, C)`` of each round of turns; none where shapes are not at hand.
    """

    upright: NDArray[np.floating]
    turned: Sequence[NDArray[np.floating]] = ()


def posed_features(
    model: Model,
    points: Tensor,
    rotations: Rotations,
    *,
    layout: Layout = "auto",
    batch_size: int = 32,
    device: str | None = None,
    advance: Advance = lambda clouds: None,
) -> Posed:
    """Describes shapes as they stand and in each round of arbitrary turns.

    Args:
        model: as `pcclust.evaluate.embed` takes it.
        points: ``(N, P, 3)``, centred.
        rotations: how they are turned; its tilts have no part.
        layout: of the clouds that the model takes.
        batch_size: shapes the model is asked about at once, at most.
        device: where the model runs; if None where its parameters are.
        advance: called with the number of shapes of each batch; N for each round and once more.

    Raises:
        ValueError: the model fails or returns something else than finite ``(B, C)``.
    """
    predictor = Predictor(model, points, layout=layout, device=device)
    batched = BatchPredictor(predictor, batch_size, advance)
    matrices = rotations.arbitrary(len(points))
    return Posed(
        batched.outputs(points, None, "shapes as they stand").numpy(),
        tuple(
            batched.outputs(points, turns, f"shapes turned, round {number}").numpy()
            for number, turns in enumerate(matrices)
        ),
    )


def fingerprint(model: nn.Module) -> str:
    """Returns what is the same for encoders of the same kind and weights alone."""
    digest = hashlib.sha256(repr(model).encode())
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()
