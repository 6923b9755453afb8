import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pcclust.data import (
    NamedCloud,
    ReadFailure,
    find_files,
    name_clouds,
    read_points,
    stream_clouds,
)
from pcclust.data._reader_processes import map_in_processes
from pcclust.data.streaming import PROCESS_DIED


@pytest.fixture
def folder(tmp_path):
    """Five clouds alone, three in one file, a broken file, notes, and a folder within."""
    generator = np.random.default_rng(0)
    (tmp_path / "inner" / "deep").mkdir(parents=True)
    for name in ("b.npy", "a.xyz", "inner/c.XYZ", "inner/deep/d.xyz", "z.csv"):
        points = generator.normal(size=(10, 3))
        if name.endswith("npy"):
            np.save(tmp_path / name, points)
        else:
            np.savetxt(tmp_path / name, points, delimiter="," if "csv" in name else " ")
    np.save(tmp_path / "many.npy", generator.normal(size=(3, 10, 3)))
    (tmp_path / "inner" / "broken.off").write_text("OFF\n5 5 0\n")
    (tmp_path / "README.txt").write_text("notes")
    return tmp_path


def names(files, folder):
    return [str(file.relative_to(folder)) for file in files]


def test_folders_are_searched_in_order_and_without_text(folder):
    found = names(find_files([str(folder)]), folder)
    assert found == [
        "a.xyz", "b.npy", "inner/broken.off", "inner/c.XYZ", "inner/deep/d.xyz", "many.npy",
    ]  # fmt: skip


def test_patterns_files_and_repetitions(folder):
    patterns = [str(folder / "z.csv"), f"{folder}/**/*.xyz", str(folder / "inner")]
    found = names(find_files(patterns), folder)
    assert found == ["z.csv", "a.xyz", "inner/deep/d.xyz", "inner/broken.off", "inner/c.XYZ"]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    np.savetxt(tmp_path / "a[1].xyz", np.ones((2, 3)))
    assert names(find_files([str(tmp_path / "a[1].xyz")]), tmp_path) == ["a[1].xyz"]


def test_outputs_in_the_folder_are_ignored(folder):
    found = names(find_files([str(folder)], [folder / "inner", folder / "many.npy"]), folder)
    assert found == ["a.xyz", "b.npy"]


@pytest.mark.parametrize("pattern", ["lost.off", "*.off", "nowhere"])
def test_nothing_found(folder, pattern):
    with pytest.raises(FileNotFoundError, match="there is no such file or folder"):
        find_files([str(folder / pattern)])


def test_a_path_with_a_typo(folder):
    with pytest.raises(FileNotFoundError, match=r"no such file or folder; did you mean '.*inner'"):
        find_files([str(folder / "iner")])


def test_a_folder_of_text_says_how_to_name_it(tmp_path):
    (tmp_path / "a.txt").write_text("1 2 3")
    with pytest.raises(FileNotFoundError, match=r"by a pattern such as '.*/\*\.txt'"):
        find_files([str(tmp_path)])


def test_names(folder):
    assert name_clouds(folder / "a.xyz") == [str(folder / "a.xyz")]
    assert name_clouds(folder / "many.npy") == [str(folder / f"many.npy[{i}]") for i in range(3)]


@pytest.mark.parametrize("workers", [0, 2])
def test_streams_are_what_the_files_hold(folder, workers):
    files = find_files([str(folder)])
    results = list(stream_clouds(files, 7, seed=3, workers=workers))
    kinds = [type(result) for result in results]
    assert kinds == [NamedCloud, NamedCloud, ReadFailure, *[NamedCloud] * 5]
    for result in results:
        if isinstance(result, ReadFailure):
            assert result.name.endswith("broken.off")
            assert "declares 5 vertices" in result.reason
            continue
        path, _, index = result.name.rstrip("]").partition("[")
        expected = read_points(path, 7, 3, index=int(index or 0), dtype=np.float64)
        assert result.points.dtype == np.float64
        np.testing.assert_array_equal(result.points, expected)


def test_skipped_shapes_are_not_read(folder):
    files = find_files([str(folder)])
    skip = {str(folder / name) for name in ("a.xyz", "inner/broken.off", "many.npy[1]")}
    left = [result.name for result in stream_clouds(files, skip=skip, workers=0)]
    assert names(map(Path, left), folder) == [
        "b.npy", "inner/c.XYZ", "inner/deep/d.xyz", "many.npy[0]", "many.npy[2]",
    ]  # fmt: skip


def test_a_broken_cloud_among_many_stops_no_other(tmp_path):
    clouds = np.ones((5, 4, 3))
    clouds[[1, 2], 0, 0] = np.nan
    np.save(tmp_path / "a.npy", clouds)
    results = list(stream_clouds([tmp_path / "a.npy"]))
    assert [isinstance(result, ReadFailure) for result in results] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert "a.npy[2]: points[0] is not finite" in results[2].reason


def test_negative_workers(folder):
    with pytest.raises(ValueError, match="workers=-1"):
        list(stream_clouds([folder / "a.xyz"], workers=-1))


def die_on(name, path):
    if path.name == name:
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def test_a_reader_that_dies_loses_only_its_file():
    paths = [Path(f"{number}") for number in range(4)]
    results = list(map_in_processes(partial(die_on, "2"), paths, workers=1))
    assert results == ["0", "1", None, "3"]


def test_a_dead_reader_is_a_failure_of_its_file(monkeypatch, folder):
    monkeypatch.setattr("pcclust.data.streaming.map_in_processes", die_at_once)
    (result,) = stream_clouds([folder / "a.xyz"], workers=1)
    assert result.reason == f"{folder / 'a.xyz'}: {PROCESS_DIED}"


def die_at_once(function, paths, workers):
    yield from (None for _ in paths)
