import pytest
import torch

from pcclust.data import PointDataset, open_dataset
from pcclust.data import held as module
from pcclust.data.fingerprint import data_sha256
from pcclust.data.hdf5_writer import write_hdf5
from pcclust.data.held import held, part_of_batch, transformed
from pcclust.data.transforms import UnitSphere
from tests.data.dataset_layouts import clouds

COUNT, POINTS = 300, 16
BYTES = COUNT * POINTS * 12


@pytest.fixture
def shapes(tmp_path):
    write_hdf5(
        tmp_path / "a.h5",
        [clouds(COUNT, POINTS)],
        count=COUNT,
        num_points=POINTS,
        names=[f"s{i}" for i in range(COUNT)],
    )
    return open_dataset(tmp_path / "a.h5")


def test_all_processes_of_a_machine_count(shapes, monkeypatch):
    monkeypatch.setattr(module, "MEMORY_LIMIT", 2 * BYTES)
    for processes, fits in (("1", True), ("2", True), ("3", False)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        assert held(shapes).storage.in_memory == fits
        assert transformed(shapes, UnitSphere()).in_memory == fits


def test_what_is_read_when_asked_for_is_what_memory_would_hold(shapes, monkeypatch):
    known = PointDataset(transformed(shapes, UnitSphere()))
    monkeypatch.setattr(module, "MEMORY_LIMIT", 0)
    found = PointDataset(transformed(shapes, UnitSphere()))
    assert not found.storage.in_memory
    assert len(found) == COUNT
    for size in (1, 7, COUNT):
        rows = torch.randperm(COUNT)[:size]
        assert torch.equal(found.batch(rows), known.batch(rows))
    assert data_sha256(found) == data_sha256(known)
    some = shapes.subset([5, 3, 8])
    again = PointDataset(transformed(some, UnitSphere()))
    assert torch.equal(again.points, known.points[[5, 3, 8]])


def test_the_other_parts_of_a_batch_are_copies(shapes):
    rows = torch.arange(12)
    for part in range(3):
        points = part_of_batch(shapes, rows, part, 3)
        own = shapes.batch(rows[4 * part : 4 * part + 4])
        assert all(torch.equal(some, own) for some in points.split(4))
    assert torch.equal(part_of_batch(shapes, rows, 0, 1), shapes.batch(rows))
