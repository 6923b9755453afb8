import re

import numpy as np
import pytest

from pcclust.cli.main import main
from pcclust.data import DataWarning, LayoutError, PointFolder, find_files, open_dataset
from pcclust.data.named import has_splits
from tests.data.dataset_layouts import TRIANGLES, modelnet_off


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, np.random.default_rng(0).normal(size=(2000, 3)))
        else:
            path.write_text(TRIANGLES)
    return folder


def found(folder):
    return [path.relative_to(folder).as_posix() for path in find_files([str(folder)])]


@pytest.fixture
def store(tmp_path):
    return put(tmp_path / "store", "chair/a.npy", "chair/b.off", "lamp/c.npy")


def test_linked_folders_are_followed(tmp_path, store):
    links = tmp_path / "links"
    put(links, "cup/d.off")
    for kind in ("chair", "lamp"):
        (links / kind).symlink_to(store / kind)
    names = ["chair/a.npy", "chair/b.off", "cup/d.off", "lamp/c.npy"]
    assert open_dataset(links).names == names
    assert open_dataset(links).class_names == ("chair", "cup", "lamp")
    assert PointFolder(links, labelled=False).names == names
    assert found(links) == names


def test_loops_of_links_are_cut(store):
    (store / "chair" / "again").symlink_to(store)
    (store / "chair" / "self").symlink_to(store / "chair")
    assert open_dataset(store).names == ["chair/a.npy", "chair/b.off", "lamp/c.npy"]
    assert len(found(store)) == 3


def test_a_link_to_nowhere_is_said_when_it_is_read(store, tmp_path, capsys):
    (store / "lamp" / "lost.off").symlink_to(store / "nowhere.off")
    with pytest.raises(
        FileNotFoundError, match=r"lost\.off is a link to .*nowhere\.off, which leads to no"
    ):
        open_dataset(store)[3]
    with pytest.raises(SystemExit) as caught:
        main(["rri", str(store), "--k", "4", "--out", str(tmp_path / "f.h5")])
    assert caught.value.code == 1
    printed = capsys.readouterr()
    assert "lost.off is a link to" in printed.err
    assert "3 shapes" in printed.out


BY_PRODUCTS = (
    "__MACOSX/store/chair/._a.off",
    "chair/._a.off",
    "chair/.DS_Store",
    "chair/Thumbs.db",
    "lamp/c.mtl",
    "lamp/texture.png",
    "README.txt",
    "LICENSE",
)


@pytest.mark.filterwarnings("error")
def test_by_products_of_archives_are_recognised(store):
    put(store, *BY_PRODUCTS)
    names = ["chair/a.npy", "chair/b.off", "lamp/c.npy"]
    assert open_dataset(store).names == names
    assert found(store) == names


@pytest.mark.parametrize("name", ["lamp/d.txt", "lamp/d.csv", "lamp/d.step", "lamp/d.pts.gz"])
def test_what_may_be_a_shape_is_passed_over_with_a_word(store, name):
    put(store, name)
    word = rf"store: 1 files or folders were passed over, .*first {re.escape(name)}; name them"
    for look in (open_dataset, found):
        with pytest.warns(DataWarning, match=word):
            assert len(look(store)) == 3


def test_a_folder_that_wraps_the_dataset(tmp_path, store):
    store.rename(tmp_path / "inner")
    put(tmp_path, "__MACOSX/inner/._chair", "README.txt")
    for look in (open_dataset, PointFolder):
        with pytest.warns(DataWarning, match="its only folder inner is read as the dataset"):
            assert look(tmp_path).class_names == ("chair", "lamp")


def test_a_single_class_is_no_wrapping(tmp_path):
    put(tmp_path, "chair/a.npy", "chair/old/b.npy", "chair/new/c.npy")
    assert open_dataset(tmp_path).class_names == ("chair",)


def test_a_known_dataset_in_a_folder(tmp_path):
    modelnet_off(tmp_path / "outer" / "ModelNet", ["bed", "chair"])
    put(tmp_path / "outer", "ModelNet/bed/train/._bed_train0000.off")
    assert len(open_dataset(tmp_path / "outer", "train")) == 4


@pytest.mark.parametrize("order", ["{split}/{kind}/{name}", "{kind}/{split}/{name}"])
@pytest.mark.parametrize("splits", [("train", "test"), ("Training", "Testing")])
def test_splits_are_no_classes(tmp_path, order, splits):
    for split, kind, name in [
        (splits[0], "chair", "a.npy"),
        (splits[0], "lamp", "b.npy"),
        (splits[0], "lamp", "c.npy"),
        (splits[1], "lamp", "d.npy"),
    ]:
        put(tmp_path, order.format(split=split, kind=kind, name=name))
    if order.startswith("{kind}"):
        put(tmp_path, f"chair/{splits[1]}/e.npy")
    assert has_splits(str(tmp_path))
    train, test = open_dataset(tmp_path), open_dataset(tmp_path, "test")
    assert train.class_names == test.class_names == ("chair", "lamp")
    assert train.labels.tolist() == [0, 1, 1]
    assert test.labels.tolist()[-1:] == [1]
    with pytest.raises(LayoutError, match="no shapes of the split 'val'"):
        open_dataset(tmp_path, "val")
    with pytest.raises(LayoutError, match="which are splits and no classes"):
        PointFolder(tmp_path)
    assert len(PointFolder(tmp_path, labelled=False)) == len(train) + len(test)


def test_dev_is_a_split(tmp_path):
    put(tmp_path, "train/chair/a.npy")
    put(tmp_path, "dev/lamp/b.npy")
    assert list(open_dataset(tmp_path, "val").names) == ["dev/lamp/b.npy"]


def test_splits_without_classes(tmp_path):
    put(tmp_path, "train/a.npy", "test/b.npy")
    with pytest.raises(LayoutError, match="which are splits and no classes"):
        open_dataset(tmp_path)


def test_a_shape_beside_splits(tmp_path):
    put(tmp_path, "train/chair/a.npy", "test/chair/b.npy", "train/c.npy")
    with pytest.raises(LayoutError, match=r"train/c\.npy lies beside the folders of splits"):
        open_dataset(tmp_path)
