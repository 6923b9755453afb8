import h5py
import numpy as np
import pytest

from pcclust.data import PointDataset, open_dataset
from pcclust.data.feature_file import read_feature_file
from pcclust.data.hdf5 import dataset_of_files, inspect_hdf5
from pcclust.data.labels import as_labels
from tests.data.dataset_layouts import clouds

CHAIR, LAMP = b"chair", b"lamp"
TEXT = h5py.string_dtype()


def dataset(path, classes=None, **arrays):
    with h5py.File(path, "w") as file:
        file["data"] = clouds(4, 8)
        for name, values in arrays.items():
            file[name] = values
        if classes:
            file.attrs["class_names"] = classes
    return open_dataset(path)


def features(path, classes=None, **arrays):
    named = {} if classes is None else {"class_names": np.array(classes)}
    np.savez(path.with_suffix(".npz"), features=np.eye(4), **arrays, **named)
    return read_feature_file(path.with_suffix(".npz"))[1]


@pytest.fixture(params=[dataset, features])
def read(request, tmp_path):
    return lambda classes=None, **arrays: request.param(tmp_path / "a.h5", classes, **arrays)


@pytest.mark.parametrize("name", ["label", "labels", "Y", "target", "targets", "class", "category"])
def test_usual_names(read, name):
    assert read(**{name: np.array([0, 1, 1, 0])}).labels.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    "values",
    [
        np.array([[0], [1], [1], [0]], "u1"),
        np.array([0, 1, 1, 0], ">i2"),
        np.array([0, 1, 1, 0], "f4"),
        np.array([[0.0], [1], [1], [0]]),
        np.array([False, True, True, False]),
        np.eye(2)[[0, 1, 1, 0]],
        np.eye(2, dtype=bool)[[0, 1, 1, 0]],
        np.array([CHAIR, LAMP, LAMP, CHAIR]),
        np.array([[CHAIR], [LAMP], [LAMP], [CHAIR]]),
    ],
)
def test_usual_forms(read, values):
    assert read(label=values).labels.tolist() == [0, 1, 1, 0]


def test_names_are_classes(tmp_path, read):
    texts = np.array([LAMP, CHAIR, CHAIR, LAMP])
    assert tuple(read(labels=texts).class_names) == ("chair", "lamp")
    named = read(["lamp", "cup", "chair"], labels=texts)
    assert named.labels.tolist() == [0, 2, 2, 0]
    assert tuple(named.class_names) == ("lamp", "cup", "chair")
    shapes = dataset(tmp_path / "b.h5", labels=np.array(["é", "a", "a", "é"], TEXT))
    assert shapes.class_names == ("a", "é")


def test_minus_one_throughout_means_none(read):
    assert read(label=np.full(4, -1)).labels is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"label": [0.5, 1, 1.7, 0]}, "'label' of shape 0 is 0.5, no whole number"),
        ({"label": [0, 1, np.nan, 0]}, "'label' of shape 2 is nan, no whole number"),
        ({"label": [0, 1, np.inf, 0]}, "'label' of shape 2 is inf"),
        ({"label": [0, 1, 1e300, 0]}, "'label' of shape 2 is 1e"),
        ({"label": np.array([0, 1, 2**64 - 1, 0], "u8")}, "shape 2 is 18446744073709551615"),
        ({"label": [0, 1, -1, 0]}, "1 of 4 labels are negative in 'label'"),
        ({"label": [0, 1, 2]}, "4 shapes, but 3 values of 'label': give one for each"),
        ({"label": np.zeros((4, 8), int)}, r"'label' has the shape \(4, 8\): neither one label"),
        ({"label": [[0, 2], [1, 0], [1, 0], [1, 0]]}, r"'label' has the shape \(4, 2\)"),
        ({"label": np.array([1j, 0, 0, 0])}, "'label' of complex128 are no labels"),
        ({"label": [CHAIR, b"", LAMP, LAMP]}, "'label' of shape 1 is an empty name"),
        ({"label": [0, 1, 1, 0], "y": [0, 1, 1, 1]}, "'label' and 'y' are different labels"),
    ],
)
def test_what_is_no_label_is_refused_with_its_shape(read, arrays, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(**{name: np.array(values) for name, values in arrays.items()})
    assert "a." in str(caught.value).partition(":")[0]


def test_names_that_are_no_classes(read):
    with pytest.raises(ValueError, match="shape 1 is 'lamp', which is none of its class_names"):
        read(["chair", "cup"], label=np.array([CHAIR, LAMP, LAMP, CHAIR]))


def test_two_arrays_of_the_same_labels(read):
    same = {"label": np.array([0, 1, 1, 0]), "labels": np.array([[0], [1], [1], [0]])}
    assert read(**same).labels.tolist() == [0, 1, 1, 0]


def test_no_shapes_have_no_labels():
    assert as_labels(np.empty((0, 1), int), 0, "label").values.tolist() == []


def joined(tmp_path, *labels):
    files = []
    for at, values in enumerate(labels):
        dataset(tmp_path / f"{at}.h5", **({} if values is None else {"label": np.array(values)}))
        files.append(inspect_hdf5(tmp_path / f"{at}.h5"))
    return dataset_of_files(files)


def test_files_that_number_their_classes_apart(tmp_path):
    one = [CHAIR, LAMP, LAMP, CHAIR]
    both: PointDataset = joined(tmp_path, one, [LAMP, b"cup", LAMP, LAMP])
    assert [both.class_names[n] for n in both.labels.tolist()] == (
        ["chair", "lamp", "lamp", "chair", "lamp", "cup", "lamp", "lamp"]
    )


def test_one_file_with_and_one_without_labels(tmp_path):
    with pytest.raises(ValueError, match=r"0\.h5 has labels, and .*1\.h5 has none"):
        joined(tmp_path, [0, 1, 1, 0], None)


def test_another_class_than_those_given(tmp_path):
    dataset(tmp_path / "a.h5", label=np.array([CHAIR, LAMP, LAMP, CHAIR]))
    with pytest.raises(ValueError, match=r"a\.h5: its class 'lamp' is none of chair, cup"):
        dataset_of_files([inspect_hdf5(tmp_path / "a.h5")], class_names=["chair", "cup"])
