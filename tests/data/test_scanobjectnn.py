import numpy as np
import pytest

from pcclust.data import LayoutError, ScanObjectNN, open_dataset
from tests.data.dataset_layouts import scanobjectnn


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan")
    return folder, scanobjectnn(folder / "h5_files")


@pytest.mark.parametrize(
    ("variant", "background", "file"),
    [
        ("OBJ_ONLY", True, "main_split_nobg/test_objectdataset.h5"),
        ("OBJ_BG", True, "main_split/test_objectdataset.h5"),
        ("PB_T25", True, "main_split/test_objectdataset_augmented25_norot.h5"),
        ("PB_T25_R", True, "main_split/test_objectdataset_augmented25rot.h5"),
        ("PB_T50_R", True, "main_split/test_objectdataset_augmentedrot.h5"),
        ("PB_T50_RS", True, "main_split/test_objectdataset_augmentedrot_scale75.h5"),
        ("PB_T50_RS", False, "main_split_nobg/test_objectdataset_augmentedrot_scale75.h5"),
    ],
)
def test_variants(root, variant, background, file):
    folder, written = root
    test = ScanObjectNN(folder, variant, "test", num_points=20, background=background)
    assert np.array_equal(test.points.numpy(), written[file][:, :20])
    assert test.labels.tolist() == list(range(15))
    assert (test.class_names[0], test.class_names[14], test.up_axis) == ("bag", "toilet", "y")


def test_train_files_are_called_training(root):
    folder, written = root
    train = ScanObjectNN(folder, "OBJ_BG", "train", num_points=32)
    assert np.array_equal(train.points.numpy(), written["main_split/training_objectdataset.h5"])


def test_opened_by_its_folder(root):
    folder, written = root
    hardest = written["main_split/test_objectdataset_augmentedrot_scale75.h5"]
    dataset = open_dataset(folder / "h5_files", "test", num_points=32)
    assert np.array_equal(dataset.points.numpy(), hardest)


def test_wrong_input(root, tmp_path):
    folder, _ = root
    with pytest.raises(ValueError, match=r"has the variants OBJ_ONLY, .*; got 'HARD'"):
        ScanObjectNN(folder, "HARD")
    with pytest.raises(ValueError, match="num_points=2048, but"):
        ScanObjectNN(folder, num_points=2048)
    with pytest.raises(LayoutError, match="main_split/ and main_split_nobg/"):
        ScanObjectNN(tmp_path)
    (tmp_path / "main_split").mkdir()
    with pytest.raises(FileNotFoundError, match=r"training_objectdataset_augmentedrot_scale75.h5"):
        ScanObjectNN(tmp_path)
