import shutil

import numpy as np
import pytest
import torch

from pcclust.data import LayoutError, PointFolder, open_dataset
from pcclust.data.measured import DataWarning
from tests.data.dataset_layouts import CUBE_OBJ, TRIANGLES, clouds


@pytest.fixture
def folder(tmp_path):
    for name, text in {
        "chair/a.off": TRIANGLES,
        "chair/old/a.obj": CUBE_OBJ,
        "table/b.OBJ": CUBE_OBJ,
        "table/notes.txt": "a list of shapes",
        ".hidden/c.obj": CUBE_OBJ,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_sub_folders_are_classes(folder):
    dataset = PointFolder(folder, num_points=40, up_axis="y")
    assert dataset.names == ["chair/a.off", "chair/old/a.obj", "table/b.OBJ"]
    assert (dataset.class_names, dataset.up_axis) == (("chair", "table"), "y")
    assert dataset.labels.tolist() == [0, 0, 1]
    assert dataset.points.shape == (3, 40, 3)
    assert torch.equal(PointFolder(folder, num_points=40)[2].points, dataset.points[2])
    assert not torch.equal(PointFolder(folder, num_points=40, seed=1)[2].points, dataset.points[2])


def test_without_sub_folders_there_are_no_labels(folder):
    dataset = PointFolder(folder / "table", num_points=16)
    assert (dataset.labels, dataset.names) == (None, ["b.OBJ"])
    flat = PointFolder(folder, num_points=16, labelled=False)
    assert (flat.labels, len(flat)) == (None, 3)


def test_clouds_are_drawn_from(tmp_path):
    cloud = clouds(1, 50)[0]
    np.save(tmp_path / "a.npy", cloud)
    points = PointFolder(tmp_path, num_points=20)[0].points.numpy()
    assert {row.tobytes() for row in points} <= {row.tobytes() for row in cloud}
    assert len({row.tobytes() for row in points}) == 20


def test_text_counts_where_it_is_named(tmp_path):
    np.savetxt(tmp_path / "a.txt", clouds(1, 50)[0])
    with pytest.raises(LayoutError, match=r"holds no shapes .*Found: a.txt"):
        PointFolder(tmp_path)
    assert PointFolder(tmp_path, num_points=50, suffixes=[".txt"])[0].points.shape == (50, 3)


def test_a_cloud_with_fewer_points_than_asked(tmp_path):
    np.save(tmp_path / "a.npy", clouds(1, 50)[0])
    with pytest.raises(ValueError, match=r"a.npy has 50 points, num_points=64 were asked for"):
        PointFolder(tmp_path, num_points=64)[0]


def test_duplicate_points_of_a_big_cloud_are_no_fault(tmp_path):
    np.save(tmp_path / "a.npy", np.repeat(clouds(1, 30)[0], 2, axis=0))
    assert PointFolder(tmp_path, num_points=60)[0].points.shape == (60, 3)


def test_mesh_whose_samples_coincide_is_no_small_cloud(tmp_path):
    far = TRIANGLES.replace(
        "0 0 0\n1 0 0\n0 1 0\n0 0 1\n", "8e6 0 0\n8000001 0 0\n8e6 1 0\n8e6 0 1\n"
    )
    (tmp_path / "a.off").write_text(far)
    assert PointFolder(tmp_path, num_points=5000)[0].points.shape == (5000, 3)


def test_up_is_y_where_obj_is_all_there_is_and_a_word_says_so(tmp_path):
    for name in ("a/1.obj", "b/2.obj"):
        (tmp_path / "objs" / name).parent.mkdir(parents=True)
        (tmp_path / "objs" / name).write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.warns(DataWarning, match="objs: OBJ files do not say .* y is assumed"):
        assert open_dataset(tmp_path / "objs").up_axis == "y"
    assert PointFolder(tmp_path / "objs", up_axis="z").up_axis == "z"
    shutil.copytree(tmp_path / "objs", tmp_path / "splits/train")
    with pytest.warns(DataWarning, match="y is assumed"):
        assert open_dataset(tmp_path / "splits", "train").up_axis == "y"
    (tmp_path / "objs/b/3.off").write_text(TRIANGLES)
    assert open_dataset(tmp_path / "objs").up_axis is None


def test_a_folder_of_text_says_how_it_is_read(tmp_path):
    (tmp_path / "a.txt").write_text("1 2 3\n")
    with pytest.raises(LayoutError, match=r"Found: a\.txt\. TXT and CSV count where suffixes"):
        PointFolder(tmp_path)


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        PointFolder(tmp_path / "nowhere")


def test_folder_without_shapes(tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(LayoutError, match=r"holds no shapes \(.*\.obj.*\)\. Found: photo.jpg"):
        PointFolder(tmp_path)


def test_class_folder_without_files(folder):
    (folder / "lamp").mkdir()
    (folder / "lamp" / "readme.md").touch()
    with pytest.raises(LayoutError, match=r"class folder lamp holds no shapes. Found: readme.md"):
        PointFolder(folder)


def test_shapes_beside_class_folders(folder):
    (folder / "lost.off").write_text(TRIANGLES)
    with pytest.raises(LayoutError, match=r"1 shapes, first lost.off, lie beside .*labelled=False"):
        PointFolder(folder)


def test_broken_file_is_named(folder):
    (folder / "chair" / "a.off").write_text("OFF\n100 3 0\n0 0 0\n")
    with pytest.raises(ValueError, match=r"a.off"):
        PointFolder(folder)[0]


def test_same_name_in_two_classes_is_two_shapes(folder):
    (folder / "table" / "a.off").write_text(TRIANGLES)
    assert len(set(PointFolder(folder).names)) == 4


def test_opened_by_its_path(folder):
    assert open_dataset(folder, num_points=16).names == PointFolder(folder).names
    with pytest.raises(
        LayoutError, match="is a folder of shapes without splits; leave split='test' out"
    ):
        open_dataset(folder, "test")
    with pytest.raises(ValueError, match="split='tset' is none of train, val, test"):
        open_dataset(folder, "tset")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        open_dataset(folder / "nowhere")
