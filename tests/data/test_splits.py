import pytest
import torch

from pcclust.data import PointDataset
from pcclust.data.splits import stratified_split

COUNTS = [40, 20, 7, 2, 1, 0]


@pytest.fixture
def shapes():
    labels = torch.repeat_interleave(torch.arange(6), torch.tensor(COUNTS))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    points = torch.arange(len(labels)).float().view(-1, 1, 1).expand(-1, 4, 3)
    return PointDataset(points.clone(), labels, class_names=list("abcdef"))


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.25, 0.9])
def test_classes_keep_their_proportions_and_no_shape_is_lost(shapes, fraction):
    train, val = stratified_split(shapes, fraction, seed=1)
    assert list(val.counts().values()) == [min(round(fraction * n), max(n - 1, 0)) for n in COUNTS]
    together = torch.cat([train.points, val.points])[:, 0, 0]
    assert torch.equal(together.sort().values, torch.arange(len(shapes)).float())
    for part in (train, val):
        rows = part.batch(torch.arange(len(part)))[:, 0, 0].long()
        assert torch.equal(part.labels, shapes.labels[rows])


def test_the_seed_decides(shapes):
    first, again, other = (stratified_split(shapes, 0.3, seed)[1].names for seed in (0, 0, 1))
    assert first == again != other


def test_what_cannot_be_split_is_refused(shapes):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\), got 1"):
        stratified_split(shapes, 1, 0)
    with pytest.raises(ValueError, match="needs labels"):
        stratified_split(PointDataset(torch.rand(3, 4, 3)), 0.1, 0)
