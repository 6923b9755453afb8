"""By what a dataset is known again."""

import hashlib

import torch

from pcclust.data.dataset import PointDataset

SHAPES_AT_ONCE = 256


def data_sha256(dataset: PointDataset) -> str:
    """Returns the SHA-256 of the points and labels of a dataset, in their order."""
    digest = hashlib.sha256(str((len(dataset), dataset.num_points, 3)).encode())
    for rows in torch.split(torch.arange(len(dataset)), SHAPES_AT_ONCE):
        digest.update(dataset.batch(rows).contiguous().numpy().data)
    if dataset.labels is not None:
        digest.update(dataset.labels.contiguous().numpy().data)
    return digest.hexdigest()
