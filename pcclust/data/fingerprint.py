"""By what a dataset is known again."""

import hashlib

from pcclust.data.dataset import PointDataset


def data_sha256(dataset: PointDataset) -> str:
    """Returns the SHA-256 of the points and labels of a dataset, in their order."""
    points = dataset.points.contiguous()
    digest = hashlib.sha256(str(tuple(points.shape)).encode())
    digest.update(points.numpy().data)
    if dataset.labels is not None:
        digest.update(dataset.labels.contiguous().numpy().data)
    return digest.hexdigest()
