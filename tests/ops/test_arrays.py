"""NumPy in, NumPy out, whatever the memory of the array looks like."""

import numpy as np
import pytest
import torch

import pcclust
from pcclust.ops._arrays import to_tensor
from tests.ops import reference_neighbors as reference

POINTS = np.random.default_rng(0).standard_normal((30, 3))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_come_back(backend: str, dtype: type) -> None:
    points = POINTS.astype(dtype)
    near = pcclust.knn(points, 4)
    assert isinstance(near, pcclust.Neighbors)
    working = points if dtype == np.float64 else points.astype(np.float32)
    distances, indices = reference.knn(working, 4)
    np.testing.assert_array_equal(near.distances, distances)
    np.testing.assert_array_equal(near.indices, indices)
    assert near.distances.dtype == working.dtype
    assert near.indices.dtype == np.int64
    ball = pcclust.ball_query(points, radius=1.0, max_neighbors=3, queries=points[:2])
    assert all(isinstance(part, np.ndarray) for part in ball)


@pytest.mark.parametrize(
    "view",
    [
        lambda p: p[::-1],
        lambda p: np.asfortranarray(p),
        lambda p: p.astype(">f8"),
        lambda p: np.broadcast_to(p[:1], p.shape),
        lambda p: np.concatenate([p, p], axis=1)[:, 1:4],
        lambda p: p.view(np.recarray).view(np.ndarray),
    ],
)
def test_any_memory_will_do(view, recwarn: pytest.WarningsRecorder) -> None:
    points = view(POINTS)
    expected = pcclust.knn(torch.tensor(points.astype(np.float64).tolist()).double(), 4)
    np.testing.assert_array_equal(pcclust.knn(points, 4).indices, expected.indices.numpy())
    assert not recwarn.list


def test_read_only_arrays_stay_untouched(recwarn: pytest.WarningsRecorder) -> None:
    points = POINTS.copy()
    points.flags.writeable = False
    pcclust.knn(points, 3, exclude_self=True)
    np.testing.assert_array_equal(points, POINTS)
    assert not recwarn.list


def test_a_plain_array_is_not_copied() -> None:
    assert to_tensor(POINTS).data_ptr() == POINTS.ctypes.data
    assert to_tensor("as it is") == "as it is"


def test_layouts_take_arrays() -> None:
    packed = pcclust.knn(POINTS, 2, offsets=np.array([0, 12, 30], np.int32))
    assert packed.indices[12:].min() >= 12
    padded = pcclust.knn(POINTS.reshape(3, 10, 3), 2, lengths=np.array([10, 4, 10], np.uint16))
    assert (padded.indices[1, 4:] == -1).all()


def test_tensors_and_arrays_do_not_mix() -> None:
    with pytest.raises(TypeError, match="knn got both tensors and NumPy arrays"):
        pcclust.knn(POINTS, 2, queries=torch.from_numpy(POINTS))
    with pytest.raises(TypeError, match="ball_query got both tensors and NumPy arrays"):
        pcclust.ball_query(torch.from_numpy(POINTS)[None], 1.0, 2, lengths=np.array([30]))


@pytest.mark.parametrize(
    "points",
    [
        POINTS.astype(object),
        POINTS.astype(str),
        np.zeros((4, 3), "M8[s]"),
        np.zeros((4, 3), [("x", "f4")]),
    ],
)
def test_arrays_of_no_numbers_are_refused(points: np.ndarray) -> None:
    with pytest.raises(TypeError, match="an array of numbers is needed, got dtype"):
        pcclust.knn(points, 1)


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.complex128, np.longdouble, np.uint64])
def test_arrays_of_other_numbers_are_refused(dtype: type) -> None:
    with pytest.raises(TypeError, match=r"float32 or float64|longdouble"):
        pcclust.knn(POINTS.astype(dtype), 1)


def test_masked_values_are_no_coordinates() -> None:
    masked = np.ma.masked_greater(POINTS, np.median(POINTS))
    with pytest.raises(ValueError, match="masked, and so no numbers"):
        pcclust.knn(masked, 1)
    np.testing.assert_array_equal(pcclust.knn(np.ma.array(POINTS), 1)[1], pcclust.knn(POINTS, 1)[1])
