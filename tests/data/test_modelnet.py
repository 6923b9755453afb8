import os
from pathlib import Path

import numpy as np
import pytest
import torch

from pcclust.data import LayoutError, ModelNet, open_dataset
from pcclust.data.modelnet import MODELNET10, MODELNET40
from tests.data.dataset_layouts import (
    clouds,
    modelnet_normals,
    modelnet_off,
    modelnet_ply_hdf5,
    write_h5,
)

REAL = Path(os.environ.get("PCCLUST_DATA", "")) / "modelnet40"
needs_modelnet = pytest.mark.skipif(
    not (REAL / "train.h5").is_file(), reason="ModelNet40 is not in $PCCLUST_DATA"
)


@pytest.fixture(scope="module")
def both():
    return {split: ModelNet(REAL, 40, split) for split in ("train", "test")}


@needs_modelnet
class TestRealModelNet40:
    def test_counts_of_every_class_and_split(self, both):
        # The official counts, test split: 100 shapes of each class but these.
        fewer = {
            "bathtub": 50, "bowl": 20, "cone": 20, "cup": 20, "curtain": 20, "desk": 86, "door": 20,
            "dresser": 86, "flower_pot": 20, "keyboard": 20, "lamp": 20, "laptop": 20,
            "night_stand": 86, "person": 20, "radio": 20, "sink": 20, "stairs": 20, "stool": 20,
            "tent": 20, "wardrobe": 20, "xbox": 20, "bench": 20,
        }  # fmt: skip
        assert both["test"].counts() == {kind: fewer.get(kind, 100) for kind in MODELNET40}
        train = both["train"].counts()
        some = {"airplane": 626, "chair": 889, "sofa": 680, "bowl": 64, "night_stand": 200}
        assert {kind: train[kind] for kind in some} == some
        assert (len(both["train"]), len(both["test"])) == (9843, 2468)
        assert sum(train.values()) == 9843

    def test_points_are_finite_centred_and_of_radius_one(self, both):
        for dataset in both.values():
            points = dataset.points
            assert points.shape == (len(dataset), 1024, 3)
            assert bool(torch.isfinite(points).all())
            assert float(points.mean(dim=1).abs().max()) < 1e-3
            radius = points.norm(dim=2).amax(dim=1)
            assert float((radius - 1).abs().max()) < 1e-3

    def test_names_belong_to_labels(self, both):
        for dataset in both.values():
            of_name = [name.rsplit("_", 1)[0] for name in dataset.names]
            assert of_name == [dataset.class_names[label] for label in dataset.labels.tolist()]
        assert not set(both["train"].names) & set(both["test"].names)

    def test_ten_classes_are_a_subset(self, both):
        ten = {split: ModelNet(REAL, 10, split) for split in ("train", "test")}
        assert (len(ten["train"]), len(ten["test"])) == (3991, 908)
        assert ten["test"].class_names == tuple(MODELNET10)
        row = both["test"].names.index(ten["test"].names[500])
        assert torch.equal(ten["test"][500].points, both["test"][row].points)
        assert ten["test"].class_names[ten["test"][500].label] in ten["test"].names[500]

    def test_up_axis_is_z(self, both):
        assert both["train"].up_axis == "z"
        persons = both["train"].select_classes(["person"]).points
        extent = (persons.amax(dim=1) - persons.amin(dim=1)).mean(dim=0)
        assert int(extent.argmax()) == 2

    def test_found_in_the_folder_of_all_datasets(self):
        assert len(ModelNet(REAL.parent, 10, "test")) == 908

    def test_more_points_than_there_are(self):
        with pytest.raises(ValueError, match=r"num_points=2048, but .*test.h5 have only 1024"):
            ModelNet(REAL, split="test", num_points=2048)


def test_off_tree(tmp_path):
    modelnet_off(tmp_path / "ModelNet10", MODELNET10, per_split=3)
    dataset = ModelNet(tmp_path, 10, "train", num_points=50)
    assert (len(dataset), dataset.up_axis, dataset.class_names) == (30, "z", tuple(MODELNET10))
    assert dataset[4].name == "bed_train0001"
    assert dataset.class_names[dataset[4].label] == "bed"
    points = dataset.points
    # On the surface of the tetrahedron: no coordinate negative, their sum at most 1.
    assert points.shape == (30, 50, 3)
    assert float(points.min()) >= 0
    assert float(points.sum(dim=2).max()) <= 1 + 1e-6
    assert torch.equal(dataset[7].points, points[7]), "a shape is the same in any order"
    assert not torch.equal(points[0], points[1]), "each shape has a seed of its own"
    other = ModelNet(tmp_path, 10, "train", num_points=50, seed=1)
    assert not torch.equal(other.points, points)


@pytest.mark.parametrize("names", [True, False])
def test_ply_hdf5(tmp_path, names):
    points = modelnet_ply_hdf5(tmp_path / "modelnet40_ply_hdf5_2048", MODELNET40, names)
    train = ModelNet(tmp_path, 40, "train", num_points=20)
    assert np.array_equal(train.points.numpy(), points["train"][:, :20])
    assert (train.up_axis, train.class_names) == ("y", tuple(MODELNET40))
    assert train.labels.tolist() == [0, 1, 2, 3, 4] * 2
    assert train.names[6] == ("shape_1001" if names else "ply_data_train1/00001")
    assert len(ModelNet(tmp_path, 40, "test", num_points=20)) == 5
    assert ModelNet(tmp_path, 40, "test", num_points=20, up_axis="x").up_axis == "x"


def test_normal_resampled(tmp_path):
    rows = modelnet_normals(tmp_path / "modelnet40_normal_resampled", MODELNET40)
    test = ModelNet(tmp_path, 40, "test", num_points=32)
    assert (len(test), test.up_axis, test[8].name) == (40, "y", "chair_0002")
    assert np.allclose(test[8].points, rows["chair_0002"][:32, :3], atol=1e-6)
    night_stand = test.names.index("night_stand_0002")
    assert test.class_names[test[night_stand].label] == "night_stand"
    assert len(ModelNet(tmp_path, 10, "train", num_points=32)) == 10


def test_one_file(tmp_path):
    write_h5(tmp_path / "test.h5", data=clouds(4, 8), label=np.array([3, 2, 1, 0]))
    with pytest.raises(LayoutError, match="has 4 classes and lacks airplane"):
        ModelNet(tmp_path, split="test", num_points=8)


def test_opened_by_its_folder(tmp_path):
    modelnet_ply_hdf5(tmp_path / "a", MODELNET40)
    assert len(open_dataset(tmp_path / "a", "test", num_points=16)) == 5


def test_missing_root(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist; .*PCCLUST_DATA"):
        ModelNet(tmp_path / "nowhere")


def test_root_of_another_layout_says_what_was_looked_for_and_found(tmp_path):
    (tmp_path / "cats.jpg").touch()
    (tmp_path / "dogs").mkdir()
    with pytest.raises(LayoutError) as error:
        ModelNet(tmp_path)
    for wanted in ("train.h5", "ply_data_*.h5", "modelnet40_train.txt", "<class>/train/*.off"):
        assert wanted in str(error.value)
    assert "Found: cats.jpg, dogs/" in str(error.value)


def test_other_datasets_beside_it_do_not_mislead(tmp_path):
    (tmp_path / "images" / "train").mkdir(parents=True)
    modelnet_off(tmp_path / "ModelNet10", MODELNET10)
    assert len(ModelNet(tmp_path, 10, "test", num_points=16)) == 20


def test_empty_root(tmp_path):
    with pytest.raises(LayoutError, match="nothing, the folder is empty"):
        ModelNet(tmp_path)


def test_class_folder_without_files(tmp_path):
    modelnet_off(tmp_path, MODELNET40)
    for path in (tmp_path / "sofa" / "test").iterdir():
        path.unlink()
    with pytest.raises(LayoutError, match="sofa/test has no OFF file"):
        ModelNet(tmp_path, split="test")


def test_ten_class_tree_is_no_modelnet40(tmp_path):
    modelnet_off(tmp_path, MODELNET10)
    with pytest.raises(LayoutError, match="has 10 classes and lacks airplane, bench, bookshelf"):
        ModelNet(tmp_path, 40)


def test_lists_that_name_absent_files(tmp_path):
    modelnet_ply_hdf5(tmp_path / "a", MODELNET40)
    (tmp_path / "a" / "ply_data_train1.h5").unlink()
    with pytest.raises(
        LayoutError, match=r"names 2 files, of which 1 are not there, first .*train1"
    ):
        ModelNet(tmp_path / "a")
    modelnet_normals(tmp_path / "b", MODELNET40)
    (tmp_path / "b" / "sofa" / "sofa_0001.txt").unlink()
    with pytest.raises(LayoutError, match=r"names 40 files, of which 1 .*sofa_0001.txt"):
        ModelNet(tmp_path / "b")


def test_list_of_unknown_class(tmp_path):
    modelnet_normals(tmp_path, MODELNET40)
    (tmp_path / "modelnet40_train.txt").write_text("spoon_0001\n")
    with pytest.raises(LayoutError, match="no known class: 'spoon'"):
        ModelNet(tmp_path)


def test_shape_with_fewer_points_than_asked(tmp_path):
    modelnet_normals(tmp_path, MODELNET40, points=40)
    dataset = ModelNet(tmp_path, num_points=41)
    with pytest.raises(ValueError, match=r"airplane_0001.txt has 40 points .*num_points=41"):
        dataset[0]


def test_broken_table(tmp_path):
    modelnet_normals(tmp_path, MODELNET40)
    (tmp_path / "airplane" / "airplane_0001.txt").write_text("1,2,x\n")
    with pytest.raises(ValueError, match=r"airplane_0001.txt is not a table of points"):
        ModelNet(tmp_path, num_points=1)[0]


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match="10 or 40 classes, got classes=20"):
        ModelNet(tmp_path, 20)
    with pytest.raises(ValueError, match="the splits train, test; got 'val'"):
        ModelNet(tmp_path, 40, "val")
