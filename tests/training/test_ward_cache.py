import numpy as np
import pytest
import torch

from pcclust.data import PointDataset
from pcclust.data.fingerprint import data_sha256
from pcclust.data.transforms import RotateSO3
from pcclust.nn import ward_hierarchy
from pcclust.training import ward_cache
from pcclust.training.ward_cache import cached_hierarchy


@pytest.fixture
def shapes():
    return PointDataset(torch.rand(70, 40, 3, generator=torch.Generator().manual_seed(0)))


@pytest.fixture
def computed(monkeypatch):
    """Counts how many shapes are computed."""
    seen = []

    def counted(points, num_clusters):
        seen.append(len(points))
        return ward_hierarchy(points, num_clusters)

    monkeypatch.setattr(ward_cache, "ward_hierarchy", counted)
    return seen


@pytest.mark.parametrize(("levels", "kind"), [((16, 4), torch.uint8), ((39, 1), torch.uint8)])
def test_labels_are_those_of_the_shapes_and_computed_once(shapes, computed, tmp_path, levels, kind):
    told = []
    for _ in range(2):
        labels = cached_hierarchy(
            shapes, levels, folder=tmp_path, progress=lambda *done: told.append(done)
        )
        assert labels.dtype == kind
        assert torch.equal(labels.long(), ward_hierarchy(shapes.points, levels))
    assert computed == [64, 6]
    assert told == [(64, 70), (70, 70)]


def test_rows_are_those_of_a_subset(shapes, tmp_path):
    some = shapes.subset([5, 3])
    labels = cached_hierarchy(some, (8,), folder=tmp_path)
    assert torch.equal(labels.long(), ward_hierarchy(shapes.points[[5, 3]], (8,)))


def test_other_points_or_levels_are_other_files(shapes, computed, tmp_path):
    moved = shapes.points.clone()
    moved[3, 2, 1] += 1e-3
    for dataset in (shapes, PointDataset(moved), shapes.subset(range(69, -1, -1))):
        cached_hierarchy(dataset, (8, 2), folder=tmp_path)
    cached_hierarchy(shapes, (8,), folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 4
    assert sum(computed) == 4 * 70


def test_damage_is_computed_anew(shapes, computed, tmp_path):
    expected = cached_hierarchy(shapes, (8,), folder=tmp_path)
    (path,) = tmp_path.iterdir()
    for damage in (path.read_bytes()[:-9], b"", b"no array"):
        path.write_bytes(damage)
        assert torch.equal(cached_hierarchy(shapes, (8,), folder=tmp_path), expected)
    np.save(path, np.array([{}], dtype=object))
    assert torch.equal(cached_hierarchy(shapes, (8,), folder=tmp_path), expected)
    assert sum(computed) == 5 * 70


def test_wide_levels_take_wider_numbers():
    kinds = [ward_cache._smallest_type(count) for count in (1, 256, 257, 32768, 32769)]
    assert kinds == [np.uint8, np.uint8, np.int16, np.int16, np.int32]


def test_a_rotation_changes_no_hierarchy(shapes):
    turned = RotateSO3()(shapes.points, torch.Generator().manual_seed(1))
    assert torch.equal(ward_hierarchy(turned, (16, 4)), ward_hierarchy(shapes.points, (16, 4)))


def test_the_folder_is_where_the_user_wants_it(shapes, tmp_path, monkeypatch):
    monkeypatch.setenv("PCCLUST_CACHE", str(tmp_path / "cache"))
    cached_hierarchy(shapes, (8,))
    assert len(list((tmp_path / "cache" / "ward").glob("*.npy"))) == 1


def test_labels_belong_to_the_data():
    points = torch.rand(4, 5, 3)
    names = ["a", "b"]
    digests = {
        data_sha256(PointDataset(points, labels, class_names=names))
        for labels in ([0, 0, 1, 1], [0, 1, 1, 1])
    } | {data_sha256(PointDataset(points))}
    assert len(digests) == 3
