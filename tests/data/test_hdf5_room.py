"""HDF5 files that reserve their space before they are opened."""

import errno
import os
import resource
from functools import partial

import h5py
import numpy as np
import pytest

from pcclust.data import hdf5_room
from pcclust.data.hdf5_room import HEADERS, hdf5_with_room
from pcclust.data.hdf5_writer import write_hdf5
from tests.fuzz.forked import forked


def reserved(monkeypatch):
    """Returns the list that gets the size of each file."""
    sizes, reserve = [], hdf5_room._reserve
    monkeypatch.setattr(
        hdf5_room, "_reserve", lambda at, size: (sizes.append(size), reserve(at, size))
    )
    return sizes


def test_what_is_not_used_is_returned(tmp_path):
    points = np.random.default_rng(0).normal(size=(100, 3))
    with hdf5_with_room(tmp_path / "a.h5", 10**6) as file:
        assert (tmp_path / "a.h5").stat().st_size == 10**6 + HEADERS
        file["points"] = points
    assert 2400 < (tmp_path / "a.h5").stat().st_size < 8000
    with h5py.File(tmp_path / "a.h5") as file:
        assert (file["points"][()] == points).all()


@pytest.mark.parametrize(("count", "num_points", "letters"), [(40_000, 1, 1), (300, 40, 900)])
def test_what_is_reserved_is_enough(tmp_path, monkeypatch, count, num_points, letters):
    sizes = reserved(monkeypatch)
    bits = np.random.default_rng(0).integers(0, 2**32, (count, num_points, 3), dtype=np.uint32)
    names = [f"{number:0{letters}d}" for number in range(count)]
    labels = np.arange(count) % 300
    write_hdf5(
        tmp_path / "a.h5",
        [bits.view(np.float32)],
        count=count,
        num_points=num_points,
        names=names,
        labels=labels,
        class_names=[f"class {number}" for number in range(300)],
    )
    assert (tmp_path / "a.h5").stat().st_size < sizes[0] - HEADERS // 2


@pytest.mark.parametrize("room", [0, 900, 40_000])
def test_no_room_is_an_error_before_anything_is_opened(tmp_path, room):
    def write():
        with hdf5_with_room(tmp_path / "a.h5", 10_000):
            print("opened")

    limits = (room, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    ended = forked(write, before=partial(resource.setrlimit, resource.RLIMIT_FSIZE, limits))
    assert ended.status == 1
    assert ended.said == f"OSError: [Errno {errno.EFBIG}] File too large\n"


def test_where_nothing_can_be_reserved_it_is_written_all_the_same(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.EOPNOTSUPP, "no")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    with hdf5_with_room(tmp_path / "a.h5", 24) as file:
        file["x"] = np.arange(3.0)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["x"][()].tolist() == [0.0, 1.0, 2.0]


def test_the_space_is_reserved_on_the_disk_itself(tmp_path):
    with hdf5_with_room(tmp_path / "a.h5", 10**6):
        assert (tmp_path / "a.h5").stat().st_blocks * 512 >= 10**6
