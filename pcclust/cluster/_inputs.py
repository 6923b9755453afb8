"""What estimators accept as data, weights and randomness."""

import math
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from pcclust.ops._arrays import to_tensor
from pcclust.ops._clouds import working_precision

Data = Any  # a tensor, a NumPy array, or anything numpy.asarray understands


def as_points(data: Data, name: str = "X", *, overflow: int = 2) -> Tensor:
    """Checks data and returns it as a contiguous ``(N, D)`` tensor, float32 or float64.

    Floats keep their precision (float16 and bfloat16 become float32), integers become torch's
    default dtype if in a tensor and float64 if in an array. Memory is shared where possible.

    Args:
        data: the data.
        name: what messages call them.
        overflow: data are refused whose distances (1) or squared distances (2) overflow.

    Raises:
        TypeError: sparse data, or no numbers.
        ValueError: not a matrix, empty, complex, not finite, or too large.
    """
    points = _as_tensor(data, name)
    if points.is_complex():
        raise ValueError(f"Complex data not supported: {name} is {points.dtype}")
    if points.dim() != 2:
        raise ValueError(
            f"{name} must be (N, D), got {tuple(points.shape)}. Reshape your data: "
            "(-1, 1) where it has one feature, (1, -1) where it is one sample"
        )
    for size, what in zip(points.shape, ("sample(s)", "feature(s)"), strict=True):
        if size == 0:
            raise ValueError(
                f"{name} has 0 {what} (shape={tuple(points.shape)}) while a minimum of 1 is "
                "required."
            )
    if not points.is_floating_point():
        points = points.to(torch.get_default_dtype() if isinstance(data, Tensor) else torch.float64)
    points = working_precision(points.detach()).contiguous()
    _check_range(points, name, overflow)
    return points


def _as_tensor(data: Data, name: str) -> Tensor:
    if isinstance(data, Tensor):
        if data.layout != torch.strided:
            raise TypeError(f"{name} is sparse ({data.layout}); convert with .to_dense()")
        return data
    if hasattr(data, "toarray"):
        raise TypeError(f"{name} is a sparse {type(data).__name__}; convert with .toarray()")
    array = np.asarray(data)
    if array.dtype.kind in "OUS":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} must hold numbers: {error}") from error
    return to_tensor(array)  # type: ignore[no-any-return]


def _check_range(points: Tensor, name: str, overflow: int) -> None:
    lowest, highest = (float(bound) for bound in torch.aminmax(points))
    if not math.isfinite(lowest + highest) and not bool(torch.isfinite(points).all()):
        row, column = (~torch.isfinite(points)).nonzero()[0].tolist()
        raise ValueError(
            f"{name}[{row}] holds NaN or inf: {float(points[row, column])} in column {column}"
        )
    most = torch.finfo(points.dtype).max ** (1 / overflow) / math.sqrt(points.shape[1]) / 4
    if max(-lowest, highest) > most:
        what = "squared distances" if overflow == 2 else "distances"
        remedy = "" if points.dtype == torch.float64 else ", or use float64"
        raise ValueError(
            f"{name} reaches {max(-lowest, highest):g}; beyond {most:g} {what} overflow "
            f"in {points.dtype}: scale the data{remedy}"
        )


# An encoder gives copies of a shape in one batch features that differ by their last bits: by so
# many units of rounding of the largest.
ROUNDINGS = 8


def equal_rows(points: Tensor) -> bool:
    """Returns whether all rows ``(N, D)`` are the same but for rounding."""
    noise = ROUNDINGS * torch.finfo(points.dtype).eps * points.abs().max()
    return bool((points - points[0]).abs().max() <= noise)


def mean_and_deviation(points: Tensor) -> tuple[Tensor, Tensor]:
    """Returns what columns are standardised by.

    Args:
        points: ``(N, D)`` float32 or float64.

    Returns:
        ``(D,)`` means, and ``(D,)`` standard deviations (of N, not N - 1), 0 where nothing but
        rounding makes a column vary; float64.
    """
    wide = points.double()
    mean = wide.mean(dim=0)
    deviation = (wide - mean).square_().mean(dim=0).sqrt()
    noise = ROUNDINGS * torch.finfo(points.dtype).eps * wide.abs().amax(dim=0)
    return mean, torch.where(deviation > noise, deviation, 0)


def as_weights(weights: Data | None, points: Tensor) -> Tensor | None:
    """Checks sample weights and returns them like the points, or None if there are none.

    Raises:
        ValueError: wrong shape, negative, not finite, or all zero.
    """
    if weights is None:
        return None
    values = _as_tensor(weights, "sample_weight")
    if values.dim() == 0:
        values = values.expand(points.shape[0])
    if values.shape != points.shape[:1]:
        raise ValueError(
            f"sample_weight must be ({points.shape[0]},), one for each sample, "
            f"got {tuple(values.shape)}"
        )
    values = values.detach().to(points.device, points.dtype).contiguous()
    bad = (~torch.isfinite(values) | (values < 0)).nonzero().flatten()
    if bad.numel():
        at = int(bad[0])
        raise ValueError(f"sample_weight[{at}]={float(values[at]):g} is negative or not finite")
    if not bool((values > 0).any()):
        raise ValueError(f"sample_weight is zero for all {values.shape[0]} samples")
    return values


def unit_rows(points: Tensor, name: str = "X") -> Tensor:
    """Returns rows of length one.

    Raises:
        ValueError: a row is zero and has no direction.
    """
    # Dividing by the largest entry first keeps the squares of tiny and of huge rows in range.
    largest = points.abs().amax(dim=1, keepdim=True)
    zero = (largest == 0).flatten().nonzero()
    if zero.numel():
        row = int(zero[0])
        raise ValueError(f"{name}[{row}] is zero, which has no direction for metric='cosine'")
    scaled = points / largest
    lengths: Tensor = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    return scaled / lengths


def middle(points: Tensor) -> Tensor:
    """Returns medians of up to 255 points, so that what lies far out does not count."""
    step = -(-points.shape[0] // 255)
    return points[::step].median(dim=0).values


def as_generator(random_state: Any) -> Generator:  # noqa: ANN401
    """Returns a generator of the CPU for whatever names a source of randomness.

    Args:
        random_state: None for torch's global generator, a seed, a torch or NumPy generator (which
            moves on), or a NumPy RandomState.

    Raises:
        TypeError: something else.
    """
    if isinstance(random_state, Generator) and random_state.device.type == "cpu":
        return random_state
    if random_state is None:
        seed = int(torch.randint(1 << 62, ()))
    elif isinstance(random_state, Generator):
        device = random_state.device
        seed = int(torch.randint(1 << 62, (), device=device, generator=random_state))
    elif isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        seed = int(random_state)
    elif isinstance(random_state, np.random.RandomState):
        seed = int(random_state.randint(np.iinfo(np.int32).max))
    elif isinstance(random_state, np.random.Generator):
        seed = int(random_state.integers(1 << 62))
    else:
        raise TypeError(
            "random_state must be None, an int, a torch.Generator, a numpy RandomState or "
            f"Generator, got {type(random_state).__name__}"
        )
    return Generator().manual_seed(seed)
