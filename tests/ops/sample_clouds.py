"""Point clouds that are easy, hard and hostile to a neighbour search."""

import numpy as np
import torch

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
KINDS = (
    "normal",
    "lattice",
    "duplicates",
    "all_equal",
    "line",
    "plane",
    "far_away",
    "two_scales",
    "denormal",
    "huge",
    "signed_zeros",
)


def sample_cloud(
    kind: str, count: int, dims: int = 3, dtype: torch.dtype = torch.float32, seed: int = 0
) -> torch.Tensor:
    """Returns ``(count, dims)`` finite points of one of `KINDS`."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((count, dims))
    side = max(2, round(count ** (1 / min(dims, 3))))
    match kind:
        case "lattice":  # every distance is tied many times, and has no rounding
            points = rng.permutation(np.indices((side,) * min(dims, 3)).reshape(min(dims, 3), -1).T)
            points = np.resize(points, (count, points.shape[1])) * 0.125
            points = np.pad(points, ((0, 0), (0, dims - points.shape[1])))
        case "duplicates":
            points = points[rng.integers(0, max(1, count // 4), count)]
        case "all_equal":
            points[:] = points[0]
        case "line":
            points[:, 1:] = 0.1
        case "plane":
            points[:, -1] = points[:, 0]
        case "far_away":
            points += 1e6 if dtype in (torch.float32, torch.float64) else 1e3
        case "two_scales":  # tight clusters far apart
            points = points * 1e-3 + rng.integers(0, 3, (count, 1)) * 10.0
        case "denormal":
            points *= float(torch.finfo(dtype).tiny) / 8
        case "huge":  # some squares overflow to inf, some differences as well
            points *= 0.99 / max(np.abs(points).max(), 1) * float(torch.finfo(dtype).max)
        case "signed_zeros":
            points = np.where(rng.random(points.shape) < 0.5, 0.0, -0.0)
    return torch.from_numpy(points).to(dtype)


def working(points: torch.Tensor) -> np.ndarray:
    """Returns the points in the precision in which they are computed."""
    return (points if points.dtype == torch.float64 else points.float()).numpy()


def same_bits(found: torch.Tensor, expected: np.ndarray | torch.Tensor) -> bool:
    """Returns whether dtype, shape and every bit agree."""
    expected = torch.as_tensor(expected)
    return found.dtype == expected.dtype and torch.equal(found, expected)
