import shutil

import numpy as np
import pytest
import torch

from pcclust.data import LayoutError, ShapeNetCore, ShapeNetPart, open_dataset
from pcclust.data.measured import DataWarning
from pcclust.data.named import open_named
from tests.data.dataset_layouts import shapenetcore, shapenetpart_hdf5, shapenetpart_tree

TREE = "shapenetcore_partanno_segmentation_benchmark_v0_normal"


def test_part_text_tree_draws_points_with_their_parts(tmp_path):
    rows = shapenetpart_tree(tmp_path / TREE, points=40)
    val = ShapeNetPart(tmp_path, "val", num_points=30)
    assert (len(val), val.up_axis, val.class_names) == (2, "y", ("Airplane", "Chair"))
    shape = val[1]
    assert (shape.name, val.class_names[shape.label]) == ("03001627/model1", "Chair")
    table = rows[shape.name]
    distance = np.abs(shape.points.numpy()[:, None] - table[None, :, :3]).max(axis=2)
    drawn = distance.argmin(axis=1)
    assert float(distance.min(axis=1).max()) < 1e-6
    assert len(set(drawn.tolist())) == 30, "drawn without replacement"
    assert drawn.max() >= 30, "not simply the first"
    parts = val.part_labels(torch.tensor([1]))[0]
    assert parts.tolist() == table[drawn, -1].astype(int).tolist()
    assert torch.equal(val[1].points, shape.points)


def test_part_hdf5(tmp_path):
    data = shapenetpart_hdf5(tmp_path / "hdf5_data")
    test = ShapeNetPart(tmp_path, "test", num_points=20)
    assert np.array_equal(test.points.numpy(), data[:, :20])
    assert test.labels.tolist() == [0, 1] * 3
    parts = test.part_labels(torch.tensor([2, 0]))
    expected = np.arange(6 * 32).reshape(6, 32)[[2, 0], :20] % 50
    assert np.array_equal(parts.numpy(), expected)
    assert torch.equal(test.load().part_labels(torch.tensor([2, 0])), parts)


def test_part_lists_that_name_absent_files(tmp_path):
    shapenetpart_tree(tmp_path)
    (tmp_path / "03001627" / "model0.txt").unlink()
    with pytest.raises(LayoutError, match=r"names 2 files, of which 1 .*03001627/model0.txt"):
        ShapeNetPart(tmp_path)
    shapenetpart_hdf5(tmp_path / "h5")
    (tmp_path / "h5" / "ply_data_val0.h5").unlink()
    with pytest.raises(LayoutError, match=r"ply_data_val0.h5"):
        ShapeNetPart(tmp_path / "h5", "val")


def test_part_fewer_points_than_asked(tmp_path):
    shapenetpart_tree(tmp_path, points=40)
    with pytest.raises(ValueError, match=r"model0.txt has 40 points .*num_points=1024"):
        ShapeNetPart(tmp_path)[0]


def test_part_layouts_are_named(tmp_path):
    with pytest.raises(LayoutError, match=r"all_object_categories.txt(.|\n)*synsetoffset2category"):
        ShapeNetPart(tmp_path)
    with pytest.raises(ValueError, match="splits train, val, test; got 'trainval'"):
        ShapeNetPart(tmp_path, "trainval")


def test_part_unknown_class(tmp_path):
    shapenetpart_tree(tmp_path)
    (tmp_path / "synsetoffset2category.txt").write_text("Airplane\t02691156\n")
    with pytest.raises(LayoutError, match="unknown class 03001627"):
        ShapeNetPart(tmp_path)


@pytest.mark.parametrize("version", [1, 2])
def test_core(tmp_path, version):
    shapenetcore(tmp_path / f"ShapeNetCore.v{version}", version)
    train = ShapeNetCore(tmp_path, "train", num_points=64)
    assert (len(train), train.up_axis, train.class_names) == (2, "y", ("airplane", "chair"))
    assert [shape.name for shape in train] == ["02691156/model0", "03001627/model0"]
    points = train.points
    on_a_face = ((points - 0.5).abs().amax(dim=2) - 0.5).abs()
    assert points.shape == (2, 64, 3)
    assert float(on_a_face.max()) < 1e-6
    assert len(ShapeNetCore(tmp_path, "all")) == 6


def test_core_csv_with_absent_models(tmp_path):
    shapenetcore(tmp_path, 2)
    shutil.rmtree(tmp_path / "03001627" / "model1")
    with pytest.raises(
        LayoutError, match=r"names 2 models, of which 1 .*first 03001627/model1.*skip"
    ):
        ShapeNetCore(tmp_path, "val")
    with pytest.warns(DataWarning, match=r"1 are not in .*they are left out"):
        assert ShapeNetCore(tmp_path, "val", absent="skip").names == ["02691156/model1"]
    assert len(ShapeNetCore(tmp_path, "train")) == 2


def test_core_by_name_leaves_out_the_few_models_that_v2_lacks(tmp_path, monkeypatch):
    shapenetcore(tmp_path / "ShapeNetCore.v2", 2)
    monkeypatch.setenv("PCCLUST_DATA", str(tmp_path))
    listed = tmp_path / "ShapeNetCore.v2" / "all.csv"
    lost = [f"{10 + i},03001627,03001627,lost{i},train" for i in range(2)]
    kept = [f"{20 + i},03001627,03001627,here{i},train" for i in range(36)]
    for row in kept:
        model = row.split(",")[3]
        folder = tmp_path / "ShapeNetCore.v2" / "03001627"
        shutil.copytree(folder / "model0", folder / model)
    rows = listed.read_text().splitlines()
    listed.write_text("\n".join([*rows, *kept, *lost]))  # 2 of 40
    with pytest.warns(DataWarning, match=r"names 40 models, of which 2 .*they are left out"):
        assert len(open_named("shapenetcore", num_points=64)) == 38
    listed.write_text("\n".join([*rows, *kept, *lost, "50,03001627,03001627,lost2,train"]))
    with pytest.raises(LayoutError, match=r"names 41 models, of which 3 .*unpack"):
        open_named("shapenetcore", num_points=64)
    listed.write_text("\n".join([*rows, *kept, *lost]))
    with pytest.raises(LayoutError, match="of which 2 are not in"):
        ShapeNetCore(tmp_path, absent="error")


def test_core_whole_classes_may_be_left_out(tmp_path):
    shapenetcore(tmp_path, 2)
    shutil.rmtree(tmp_path / "02691156")
    assert ShapeNetCore(tmp_path, "test").class_names == ("chair",)


def test_core_class_folder_without_files(tmp_path):
    shapenetcore(tmp_path, 2)
    (tmp_path / "02958343").mkdir()
    with pytest.raises(LayoutError, match=r"class folder .*02958343 holds no models"):
        ShapeNetCore(tmp_path, "all")


def test_core_without_csv_has_no_splits(tmp_path):
    shapenetcore(tmp_path, 2)
    (tmp_path / "all.csv").unlink()
    with pytest.raises(LayoutError, match=r"needs the official all.csv .*split='all'"):
        ShapeNetCore(tmp_path, "test")
    (tmp_path / "all.csv").write_text("a,b\n1,2\n")
    with pytest.raises(LayoutError, match="lacks the columns synsetId, modelId, split"):
        ShapeNetCore(tmp_path, "test")


def test_core_is_not_mistaken_for_parts(tmp_path):
    shapenetpart_tree(tmp_path / "part")
    with pytest.raises(LayoutError, match="ShapeNetCore v1 or v2"):
        ShapeNetCore(tmp_path / "part")
    assert open_dataset(tmp_path / "part", num_points=10).class_names == ("Airplane", "Chair")
    shapenetcore(tmp_path / "core", 1)
    assert len(open_dataset(tmp_path / "core", "val", num_points=10)) == 2
