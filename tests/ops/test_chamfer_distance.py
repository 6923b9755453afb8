"""Chamfer distances of ragged batches against two loops; of equal clouds see the loss."""

import numpy as np
import pytest
import torch

from pcclust import chamfer_distance
from tests.losses.test_chamfer import written_out
from tests.ops.sample_clouds import sample_cloud

SIZES = ((4, 7), (9, 1), (1, 3))


@pytest.fixture
def pairs():
    return [
        tuple(sample_cloud("normal", n, dtype=torch.float64, seed=n) for n in sizes)
        for sizes in SIZES
    ]


def padded(clouds):
    longest = max(map(len, clouds))
    batch = torch.full((len(clouds), longest, 3), torch.nan, dtype=torch.float64)
    for cloud, row in zip(clouds, batch, strict=True):
        row[: len(cloud)] = cloud
    return batch, torch.tensor([len(cloud) for cloud in clouds])


@pytest.mark.usefixtures("backend")
def test_every_layout(pairs):
    expected = [written_out(x.tolist(), y.tolist()) for x, y in pairs]
    xs, ys = zip(*pairs, strict=True)
    alone = [chamfer_distance(x, y) for x, y in pairs]
    assert [found.shape for found in alone] == [()] * 3
    assert [found.item() for found in alone] == pytest.approx(expected)
    (x, x_lengths), (y, y_lengths) = padded(xs), padded(ys)
    found = chamfer_distance(x, y, x_lengths=x_lengths, y_lengths=y_lengths)
    assert found.tolist() == pytest.approx(expected)
    x_offsets, y_offsets = (
        torch.nn.functional.pad(lengths.cumsum(0), (1, 0)) for lengths in (x_lengths, y_lengths)
    )
    packed = chamfer_distance(
        torch.cat(xs), torch.cat(ys), x_offsets=x_offsets, y_offsets=y_offsets
    )
    assert packed.tolist() == pytest.approx(expected)


def test_gradients_leave_padding_alone(pairs):
    xs, ys = zip(*pairs, strict=True)
    (x, x_lengths), (y, y_lengths) = padded(xs), padded(ys)
    x.requires_grad_()
    chamfer_distance(x, y, x_lengths=x_lengths, y_lengths=y_lengths).sum().backward()
    for row, cloud, other in zip(x.grad, xs, ys, strict=True):
        alone = cloud.clone().requires_grad_()
        chamfer_distance(alone, other).backward()
        torch.testing.assert_close(row[: len(cloud)], alone.grad)
        assert not row[len(cloud) :].any()


def test_numpy_goes_in_and_out():
    found = chamfer_distance(np.zeros((2, 5, 3)), np.ones((2, 4, 3)))
    np.testing.assert_array_equal(found, [6, 6])


def test_wrong_calls():
    x = torch.rand(4, 3)
    with pytest.raises(ValueError, match="dimensions"):
        chamfer_distance(x, torch.rand(4, 2))
    with pytest.raises(ValueError, match="is empty"):
        chamfer_distance(x, torch.rand(0, 3))
    with pytest.raises(ValueError, match="clouds"):
        chamfer_distance(x[None], torch.rand(2, 4, 3))
    with pytest.raises(TypeError):
        chamfer_distance(x, x.double())
