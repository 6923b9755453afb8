"""The shapes in the repository's folder data/, and who made them."""

import re
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.data import read_points

_PACKAGE = Path(__file__).resolve().parents[1]
# An installed package brings the shapes; one that runs in place finds them beside it, in data/.
_INSTALLED = _PACKAGE / "_bundled"
BUNDLED = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "data"
NUM_POINTS = 1024
_CREDIT = re.compile(r"^\| `(?P<shape>[^`]+)` \| (?P<author>.+) \| (?P<licence>[\w.-]+) \|$", re.M)


@dataclass(frozen=True)
class BundledShapes:
    """Shapes and their credits.

    Attributes:
        names: as in CREDITS.md, e.g. ``meshes/horse2.obj``.
        clouds: ``(S, 1024, 3)`` float64, z upwards, mean at the origin, farthest point at radius 1.
        credits: per name who made the shape, and the licence.
    """

    names: tuple[str, ...]
    clouds: Tensor
    credits: dict[str, str]


def load_shapes(folder: Path) -> BundledShapes:
    """Reads the furniture, and samples the meshes.

    Args:
        folder: the folder data/ of a clone of the repository.

    Raises:
        FileNotFoundError: the shapes are not there; the message says how to get them.
    """
    names, clouds = _furniture(folder)
    meshes = sorted((folder / "meshes").glob("*.obj"))
    names += [f"meshes/{path.name}" for path in meshes]
    sampled = [load_mesh(path, NUM_POINTS) for path in meshes]
    return BundledShapes(tuple(names), torch.stack([*clouds, *sampled]), _credits(folder))


def load_mesh(path: Path, num_points: int) -> Tensor:
    """Samples points from a bundled mesh, and brings them into the frame of `BundledShapes`."""
    return _framed(read_points(path, num_points, seed=0, dtype=np.float64))


def _furniture(folder: Path) -> tuple[list[str], list[Tensor]]:
    path = folder / "furniture.h5"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there: name a folder with the bundled shapes, data/ of the repository, "
            "with --data"
        )
    with h5py.File(path) as file:
        names = [f"furniture.h5: {name}" for name in file["name"].asstr()[:]]
        return names, [_framed(cloud) for cloud in file["data"][:].astype(np.float64)]


def _framed(points: NDArray[np.floating]) -> Tensor:
    """Turns the files' upward y axis to z, moves the mean to 0, and the farthest point to 1."""
    x, y, z = (points - points.mean(axis=0)).T
    centred = np.stack([x, -z, y], axis=1)
    return torch.from_numpy(centred / np.linalg.norm(centred, axis=1).max())


def _credits(folder: Path) -> dict[str, str]:
    text = (folder / "CREDITS.md").read_text(encoding="utf-8")
    return {c["shape"]: f"{c['author']} ({c['licence']})" for c in _CREDIT.finditer(text)}
