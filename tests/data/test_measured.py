"""Rows of NaN in clouds of every format, in this process and in reader processes."""

import re

import h5py
import numpy as np
import pytest

from pcclust.cli.main import main
from pcclust.data import DataWarning, read_clouds, read_points, stream_clouds
from pcclust.data.measured import measured_points

NAN, INF = float("nan"), float("inf")
GRID = np.array([[0, 0, 0], [NAN] * 3, [1, 2, 3], [NAN] * 3, [4, 5, 6]])
MEASURED = GRID[[0, 2, 4]]


def write_cloud(path, rows):
    text = "\n".join(" ".join(map(str, row)) for row in rows.tolist()) + "\n"
    if path.suffix == ".npy":
        np.save(path, rows)
    elif path.suffix == ".npz":
        np.savez(path, points=rows)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["points"] = rows
    else:
        path.write_text(text.replace(" ", ",") if path.suffix == ".csv" else text)
    return path


FORMATS = ["xyz", "csv", "npy", "npz", "h5"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_rows_of_nan_are_left_out_and_counted(tmp_path, suffix):
    path = write_cloud(tmp_path / f"a.{suffix}", GRID)
    message = re.escape(f"{path}: 2 of 5 rows are NaN, which marks no measurement; left out")
    with pytest.warns(DataWarning, match=message) as caught:
        points = read_points(path, dtype=np.float64)
    np.testing.assert_array_equal(points, MEASURED)
    assert len(caught) == 1


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([1, NAN, 3], r"points\[2\] is not finite: \[1.0, nan, 3.0\]"),
        ([-INF, 0, 0], r"points\[2\] is not finite: \[-inf, 0.0, 0.0\]"),
        ([NAN, NAN, INF], r"points\[2\] is not finite: \[nan, nan, inf\]"),
    ],
)
def test_what_marks_nothing_is_refused_with_its_row(tmp_path, suffix, row, message):
    rows = GRID.copy()
    rows[2] = row
    with pytest.raises(ValueError, match=message):
        read_points(write_cloud(tmp_path / f"a.{suffix}", rows))


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_cloud_of_nothing_else_is_refused(tmp_path, suffix):
    path = write_cloud(tmp_path / f"a.{suffix}", np.full((4, 3), NAN))
    with pytest.raises(ValueError, match=r"a\.\w+: holds no point: all of its 4 rows are NaN"):
        read_points(path)


def test_each_of_many_clouds_is_named(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([np.nan_to_num(GRID), GRID]))
    with pytest.warns(DataWarning, match=r"a\.npy\[1\]: 2 of 5"):
        sizes = [len(cloud) for cloud in read_clouds(tmp_path / "a.npy")]
    assert sizes == [5, 3]


def test_finite_clouds_are_returned_as_they_are():
    points = np.ones((3, 3))
    assert measured_points(points, "a") is points


def test_reader_processes_pass_their_warnings_on(tmp_path):
    paths = [write_cloud(tmp_path / f"{name}.xyz", GRID) for name in "ab"]
    with pytest.warns(DataWarning) as caught:
        assert [len(cloud.points) for cloud in stream_clouds(paths, workers=1)] == [3, 3]
    assert [str(w.message).partition(":")[0] for w in caught] == [str(path) for path in paths]


@pytest.mark.filterwarnings("default")
def test_commands_print_a_note(tmp_path, capsys):
    path = write_cloud(tmp_path / "a.xyz", np.vstack([GRID, np.eye(3)]))
    with pytest.raises(SystemExit) as caught:
        main(["rri", str(path), "--k", "2", "--out", str(tmp_path / "o.h5")])
    assert caught.value.code == 0
    said = capsys.readouterr().err
    assert f"Note: {path}: 2 of 8 rows are NaN" in said
    assert ".py" not in said
