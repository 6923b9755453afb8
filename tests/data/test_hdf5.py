import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from pcclust.data import open_dataset
from pcclust.data.hdf5 import Hdf5Storage, dataset_of_files, inspect_hdf5
from pcclust.data.hdf5_writer import write_hdf5
from tests.data.dataset_layouts import clouds, write_h5


def write(path, points, **more):
    count, num_points = points.shape[:2]
    more = {"names": [f"s{i}" for i in range(count)], **more}
    write_hdf5(path, iter([points]), count=count, num_points=num_points, **more)


def test_written_file_reads_back_the_same(tmp_path):
    points = clouds(70, 16)
    labels = np.arange(70) % 3
    write(
        tmp_path / "a.h5",
        points,
        labels=labels,
        class_names=["é", "b", "c"],
        up_axis="x",
        notes={"terms": "CC0"},
    )
    dataset = open_dataset(tmp_path / "a.h5")
    assert np.array_equal(dataset.points.numpy(), points)
    assert (dataset.class_names, dataset.up_axis) == (("é", "b", "c"), "x")
    assert dataset.labels.tolist() == labels.tolist()
    assert dataset.names[69] == "s69"
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["terms"] == "CC0"
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_any_rows_of_several_files_in_any_order(tmp_path):
    first, second = clouds(150, 12, seed=1), clouds(70, 9, seed=2)
    write_h5(tmp_path / "a.h5", data=first)
    write_h5(tmp_path / "b.h5", data=second)
    storage = Hdf5Storage([inspect_hdf5(tmp_path / name) for name in ("a.h5", "b.h5")])
    assert (len(storage), storage.num_points) == (220, 9)
    expected = np.concatenate([first[:, :9], second])
    rows = torch.randperm(220, generator=torch.Generator().manual_seed(0))[:100]
    rows = torch.cat([rows, rows[:3]])
    assert np.array_equal(storage.read(rows).numpy(), expected[rows.numpy()])
    assert np.array_equal(storage.read(torch.arange(220)).numpy(), expected)
    again = pickle.loads(pickle.dumps(storage))
    assert np.array_equal(again.read(rows).numpy(), expected[rows.numpy()])


def test_processes_read_what_the_parent_has_open(tmp_path):
    points = clouds(300, 8)
    write(tmp_path / "a.h5", points)
    dataset = open_dataset(tmp_path / "a.h5")
    assert np.array_equal(dataset[250].points, points[250])
    loader = DataLoader(dataset, batch_size=50, num_workers=2, collate_fn=list)
    read = [shape.points.numpy() for batch in loader for shape in batch]
    assert np.array_equal(np.stack(read), points)


@settings(deadline=None, max_examples=30)
@given(
    sizes=st.lists(st.integers(1, 140), min_size=1, max_size=3),
    seed=st.integers(0, 99),
    asked=st.integers(0, 50),
)
def test_any_rows_of_any_files(sizes, seed, asked):
    with TemporaryDirectory() as folder:
        every = [clouds(size, 3, seed=seed + at) for at, size in enumerate(sizes)]
        paths = [Path(folder) / f"{at}.h5" for at in range(len(sizes))]
        for path, points in zip(paths, every, strict=True):
            write_h5(path, data=points)
        storage = Hdf5Storage([inspect_hdf5(path) for path in paths])
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randint(sum(sizes), (asked,), generator=generator)
        assert np.array_equal(storage.read(rows).numpy(), np.concatenate(every)[rows.numpy()])


def test_subsets_and_loaded_datasets_agree(tmp_path):
    points = clouds(130, 8)
    write(tmp_path / "a.h5", points, labels=np.arange(130) % 2, class_names=["a", "b"])
    odd = open_dataset(tmp_path / "a.h5", num_points=5).select_classes(["b"])
    assert np.array_equal(odd.points.numpy(), points[1::2, :5])
    loaded = odd.load()
    assert loaded.storage.in_memory
    assert torch.equal(loaded.points, odd.points)
    assert loaded.names == odd.names


def test_truncated_file_says_so(tmp_path):
    write(tmp_path / "a.h5", clouds(100, 64))
    whole = (tmp_path / "a.h5").read_bytes()
    for kept in (len(whole) // 2, 100, 0):
        (tmp_path / "b.h5").write_bytes(whole[:kept])
        with pytest.raises(OSError, match=f"b.h5 is not a whole HDF5 file \\({kept:,} bytes"):
            inspect_hdf5(tmp_path / "b.h5")


def test_files_without_shapes_are_refused(tmp_path):
    write_h5(tmp_path / "a.h5", cloud=np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"no dataset 'data' .* it holds cloud \(3, 3\)"):
        inspect_hdf5(tmp_path / "a.h5")
    write_h5(tmp_path / "b.h5", data=clouds(3, 4), label=np.zeros(2))
    with pytest.raises(ValueError, match="3 shapes, but 2 values of 'label': give one for each"):
        inspect_hdf5(tmp_path / "b.h5")
    with pytest.raises(FileNotFoundError, match=r"c.h5 does not exist"):
        inspect_hdf5(tmp_path / "c.h5")


def test_fewer_points_than_asked(tmp_path):
    write(tmp_path / "a.h5", clouds(3, 100))
    with pytest.raises(
        ValueError, match=r"num_points=2048, but the shapes of .*a.h5 have only 100"
    ):
        open_dataset(tmp_path / "a.h5", num_points=2048)


def test_duplicate_names(tmp_path):
    write(tmp_path / "a.h5", clouds(3, 4), names=["x", "y", "x"])
    with pytest.raises(ValueError, match="duplicate name 'x': shapes 0 and 2"):
        open_dataset(tmp_path / "a.h5")


def test_labels_without_class_names(tmp_path):
    write_h5(tmp_path / "a.h5", data=clouds(3, 4), label=np.array([2, 0, 2]))
    dataset = dataset_of_files([inspect_hdf5(tmp_path / "a.h5")])
    assert dataset.class_names == ("class 0", "class 1", "class 2")
    assert dataset.labels.tolist() == [2, 0, 2]
    named = dataset_of_files([inspect_hdf5(tmp_path / "a.h5")], class_names=["x", "y", "z"])
    assert named.class_names == ("x", "y", "z")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (-1, "1 of 2 labels are negative"),
        (2_691_156, "label 2691156 has no name among"),
    ],  # a synset
)
def test_labels_that_are_no_classes(tmp_path, label, message):
    write_h5(tmp_path / "a.h5", data=clouds(2, 4), label=np.array([0, label]))
    with pytest.raises(ValueError, match=f"a.h5: {message}"):
        dataset_of_files([inspect_hdf5(tmp_path / "a.h5")])


def test_failed_write_leaves_the_old_file(tmp_path):
    write(tmp_path / "a.h5", clouds(3, 4))
    before = (tmp_path / "a.h5").read_bytes()

    def blocks():
        yield clouds(2, 4)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_hdf5(tmp_path / "a.h5", blocks(), count=4, num_points=4, names=list("abcd"))
    with pytest.raises(ValueError, match="2 shapes were given to write, 4 announced"):
        write_hdf5(
            tmp_path / "a.h5", iter([clouds(2, 4)]), count=4, num_points=4, names=list("abcd")
        )
    assert (tmp_path / "a.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
