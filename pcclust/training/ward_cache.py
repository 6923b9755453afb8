"""Ward hierarchies of a dataset, computed once and kept on disk."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pcclust._files import whole_file
from pcclust._version import __version__
from pcclust.data import PointDataset
from pcclust.data.fingerprint import data_sha256
from pcclust.data.held import fits
from pcclust.nn import ward_hierarchy

SHAPES_AT_ONCE = 64
DEFAULT_CACHE = Path("~/.cache/pcclust")


def cache_root() -> Path:
    """Returns the folder of what can be computed again: $PCCLUST_CACHE, else the user's cache."""
    return Path(os.environ.get("PCCLUST_CACHE") or DEFAULT_CACHE).expanduser()


def cached_hierarchy(
    dataset: PointDataset,
    num_clusters: Sequence[int],
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Returns the Ward hierarchy of every shape, from the cache if it is there.

    The cache is a file for each content of a dataset and each choice of levels, in a folder of its
    own: folders of data are often shared or read-only. It serves every augmentation: a rotation
    changes no hierarchy, and after scaling or jitter that of the shape itself still is a hierarchy
    of compact clusters.

    Args:
        dataset: the shapes.
        num_clusters: clusters of each level, as `ward_hierarchy` takes them.
        folder: of the cache; ``ward`` in `cache_root` if None.
        progress: told how many shapes are done, of how many, while there is something to do.

    Returns:
        ``(N, P, levels)`` labels in the smallest type that holds them; ``ward_hierarchy`` of shape
        i is row i, as int64. They stay in the file where the points do not fit memory.

    Raises:
        OSError: the cache cannot be written.
    """
    folder = cache_root() / "ward" if folder is None else folder
    # Another version might number clusters differently.
    key = f"{data_sha256(dataset)} {list(num_clusters)} {__version__}"
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npy"
    shape = (len(dataset), dataset.num_points, len(num_clusters))
    mapped = not fits(dataset)
    labels = _read(path, shape, mapped)
    if labels is None:
        labels = _compute(dataset, num_clusters, shape, progress)
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            np.save(file, labels)
    return torch.from_numpy(labels)


def _read(path: Path, shape: tuple[int, ...], mapped: bool) -> np.ndarray | None:
    """Returns the labels in a file, or None if it is not there or not whole.

    Args:
        path: of the file.
        shape: of the labels.
        mapped: whether they stay in the file, of which all processes of a machine share what is
            in memory.
    """
    try:
        labels: np.ndarray = np.load(path, mmap_mode="c" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return labels if labels.shape == shape else None


def _compute(
    dataset: PointDataset,
    num_clusters: Sequence[int],
    shape: tuple[int, ...],
    progress: Callable[[int, int], None] | None,
) -> np.ndarray:
    labels = np.empty(shape, _smallest_type(max(num_clusters)))
    for rows in torch.split(torch.arange(len(dataset)), SHAPES_AT_ONCE):
        found = ward_hierarchy(dataset.batch(rows), num_clusters)
        labels[rows.numpy()] = found.numpy()
        if progress:
            progress(int(rows[-1]) + 1, len(dataset))
    return labels


def _smallest_type(count: int) -> type[np.generic]:
    """Returns a type that torch has, too, for labels below ``count``."""
    return next(kind for kind in (np.uint8, np.int16, np.int32) if count - 1 <= np.iinfo(kind).max)
