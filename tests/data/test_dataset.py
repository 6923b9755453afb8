import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from pcclust.data import PointDataset
from pcclust.data.storage import MemoryStorage


@pytest.fixture
def cups() -> PointDataset:
    points = torch.arange(6 * 4 * 3, dtype=torch.float32).view(6, 4, 3)
    return PointDataset(points, [0, 0, 1, 2, 2, 2], list("abcdef"), ["cup", "mug", "jar"], "y")


def test_items_say_points_label_and_name(cups):
    shape = cups[3]
    assert torch.equal(shape.points, torch.arange(36, 48.0).view(4, 3))
    assert (shape.label, shape.name) == (2, "d")
    assert cups[-1].name == "f"
    assert (cups.up_axis, cups.num_points, len(cups)) == ("y", 4, 6)
    assert cups.counts() == {"cup": 2, "mug": 1, "jar": 3}


def test_without_labels_items_have_minus_one():
    dataset = PointDataset(torch.rand(3, 5, 3))
    assert [item.label for item in dataset.__getitems__([0, 2])] == [-1, -1]
    assert (dataset.labels, dataset.counts(), dataset.up_axis) == (None, {}, None)
    assert dataset.names == ["0", "1", "2"]


def test_subset_and_classes_share_the_storage(cups):
    some = cups.subset([5, 0, 5])
    assert [shape.name for shape in some] == ["f", "a", "f"]
    assert some.storage is cups.storage
    chosen = cups.select_classes(["jar", "cup"])
    assert chosen.class_names == ("jar", "cup")
    assert chosen.names == ["a", "b", "d", "e", "f"]
    assert chosen.labels.tolist() == [1, 1, 0, 0, 0]
    assert torch.equal(chosen.points, cups.points[[0, 1, 3, 4, 5]])
    assert chosen.subset([4])[0].name == "f"


def test_out_of_range_is_refused(cups):
    with pytest.raises(IndexError, match="shape 6 of a dataset of 6"):
        cups[6]
    with pytest.raises(IndexError, match="indices from -1 to 2"):
        cups.subset([-1, 2])


def test_torch_dataloader_with_processes_delivers_every_shape_once(cups):
    loader = DataLoader(cups, batch_size=4, num_workers=2, collate_fn=list)
    assert [shape.name for batch in loader for shape in batch] == list("abcdef")


def test_pickles(cups):
    again = pickle.loads(pickle.dumps(cups))
    assert torch.equal(again.points, cups.points)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ["a", "b", "a"]}, "duplicate name 'a': shapes 0 and 2"),
        ({"names": ["a"]}, "3 shapes need 3 names, got 1"),
        ({"labels": [0, 1]}, "3 shapes need \\(3,\\) labels, got \\(2,\\)"),
        ({"labels": [0, 1, 2], "class_names": ["x", "y"]}, "label 2 has no name among 2"),
        ({"labels": [0, -1, 0], "class_names": ["x"]}, "label -1 has no name"),
        ({"up_axis": "w"}, "up_axis must be 'x', 'y', 'z' or None, got 'w'"),
    ],
)
def test_wrong_parts_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PointDataset(torch.rand(3, 5, 3), **arguments)


def test_classes_need_labels_and_names(cups):
    with pytest.raises(ValueError, match="no class 'plate' among cup, mug, jar"):
        cups.select_classes(["plate"])
    with pytest.raises(ValueError, match="needs labels"):
        PointDataset(torch.rand(3, 5, 3)).select_classes(["cup"])


def test_points_have_three_columns():
    with pytest.raises(ValueError, match=r"must be \(N, P, 3\), got \(3, 5, 4\)"):
        MemoryStorage(torch.rand(3, 5, 4))


def test_labels_may_be_numpy_of_any_integer():
    dataset = PointDataset(torch.rand(2, 3, 3), np.array([1, 0], np.uint8), None, ["a", "b"])
    assert dataset.labels.dtype == torch.int64


@pytest.mark.parametrize("rows", [[], [0, 1, 2], [4, 0]])
def test_the_points_of_a_subset_are_its_own(rows):
    shapes = PointDataset(torch.rand(5, 4, 3))
    assert torch.equal(shapes.subset(rows).points, shapes.points[rows])
