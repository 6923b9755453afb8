import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcclust.data import DataWarning, read_points
from pcclust.data.formats import table
from pcclust.data.formats.table import load_table

TWO = [[0.5, 0, -2], [1, 2.25, 3e-3]]


def put(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "text",
    [
        # names in any row, a comment too, in any case, with units, with whatever beside them
        "# intensity x y z\n9 0.5 0 -2\n9 1 2.25 3e-3\n",
        "//R G B X Y Z\n9 9 9 0.5 0 -2\n9 9 9 1 2.25 3e-3\n",
        "# id,x,y,z\n7,0.5,0,-2\n8,1,2.25,3e-3\n",
        "%z y x\n-2 0 0.5\n3e-3 2.25 1\n",
        "intensity x y z\n9 0.5 0 -2\n9 1 2.25 3e-3\n",
        "# made by a scanner\n# fields: id x y z\n9 0.5 0 -2\n9 1 2.25 3e-3\n",
        "# name x y z\nchair 0.5 0 -2\nlamp 1 2.25 3e-3\n",
        "//X Y Z R G B\n2\n0.5 0 -2 9 9 9\n1 2.25 3e-3 9 9 9\n",
        "2\n//X Y Z R G B\n0.5 0 -2 9 9 9\n1 2.25 3e-3 9 9 9\n",
        "Exported by a program\nOn a Monday\nid,X,Y,Z\n1,0.5,0,-2\n2,1,2.25,3e-3\n",
        "ID,X [m],Y [m],Z (m)\n1,0.5,0,-2\n2,1,2.25,3e-3\n",
        "# id X [m] Y [m] Z [m]\n1 0.5 0 -2\n2 1 2.25 3e-3\n",
        "id,pos_x,pos_y,pos_z\n1,0.5,0,-2\n2,1,2.25,3e-3\n",
        '"Points:2","Points:1","Points:0"\n-2,0,0.5\n3e-3,2.25,1\n',
        ",x,y,z\n0,0.5,0,-2\n1,1,2.25,3e-3\n",  # an index, as pandas writes it
        "# x y z of a chair\n0.5 0 -2\n1 2.25 3e-3\n",
        "# x y z\n0.5 0 -2 9\n1 2.25 3e-3 9\n",
        "#x,y,z\n0.5 0 -2\n1 2.25 3e-3\n",
        # quotes, and texts with the other delimiter
        '"x","y","z"\n"0.5","0","-2"\n"1","2.25","3e-3"\n',
        "'x','y','z'\n'0.5','0','-2'\n'1','2.25','3e-3'\n",
        "x;y;z;note\n0.5;0;-2;a, b\n1;2.25;3e-3;c\n",
        "x,y,z,note\n0.5,0,-2,a; b\n1,2.25,3e-3,\n",
        'name,x,y,z\n"a,b",0.5,0,-2\n"say ""c""",1,2.25,3e-3\n',
        "0.5,0,-2\n1,2.25,3e-3 # a remark\n",
        'name,x,y,z\n"a # b",0.5,0,-2\n"http://c",1,2.25,3e-3\n',
        '"name" "x" "y" "z"\n"a b" 0.5 0 -2\n"c"   1 2.25 3e-3\n',
        "x\ty\tz\tnote\n0.5\t0\t-2\ta b c\n1\t2.25\t3e-3\td\n",
        "x|y|z\n0.5|0|-2\n1|2.25|3e-3\n",
        "sep=;\nx;y;z\n0.5;0;-2\n1;2.25;3e-3\n",  # a line for Excel
        # decimal commas
        "0,5;0;-2\n1;2,25;3e-3\n",
        "x;y;z\n0,5;0,0;-2,0\n1;2,25;0,003\n",
        "0,5\t0,0\t-2\n1,0\t2,25\t0,003\n",
        "0,5 0,0 -2,0\n1,0 2,25 3,0e-3\n",
        '"0,5","0","-2"\n"1","2,25","0,003"\n',
        # blanks, ends of lines and of rows
        "0.5,0,-2,\n1,2.25,3e-3,\n",
        "0.5,0,-2,\n1,2.25,3e-3,b\n",
        "x,y,z\n0.5,0,-2,\n1,2.25,3e-3,\n",
        "# x,y,z,i\n0.5,0,-2,9,\n1,2.25,3e-3,9,,\n",
        "  0.5   0\t-2  \n\n\n 1 2.25 3e-3\n   \n",
        "0.5\t\t0\t\t-2\n1\t\t2.25\t\t3e-3\n",
        "\t0.5\t0\t-2\n\t1\t2.25\t3e-3\n",
        "0.5 ; 0 ; -2\n1; 2.25 ;3e-3",
        "0.5 0 -2\n1 2.25 3e-3\n\x1a",
        "0.5 0 -2\r1 2.25 3e-3\r",
        "0.5 0 -2\r\n\r\n1 2.25 3e-3\r\n",
        # numbers
        "+.5 0. -2\n1 225E-2 3.D-3\n",
        # counts
        "1\n0.5 0 -2\n1\n1 2.25 3e-3\n",
        "1\n0.5 0 -2 9\n# the next scan\n1\n1 2.25 3e-3 9\n",
    ],
)
def test_tables_in_circulation(tmp_path, text):
    for name in ("a.csv", "a.xyz"):
        np.testing.assert_array_equal(load_table(put(tmp_path / name, text)), TWO)


TEXT = "# größe x y z\n9 0.5 0 -2\n9 1 2.25 3e-3\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_ends_of_lines(tmp_path, encoding, end):
    content = TEXT.replace("\n", end).encode(encoding)
    np.testing.assert_array_equal(load_table(put(tmp_path / "a.txt", content)), TWO)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y,z\n", "holds no row of numbers"),
        ("# x y z\n\n", "holds no row of numbers"),
        ("4\n", "holds no row of numbers"),
        ("1 2\n3 4\n", "needs x, y and z, but the rows have 2 columns"),
        ("0.5\n0.7\n", "rows have 1 columns"),
        ("1 2 3\n4 5\n", "row 2 has 2 columns, but row 1 has 3: '4 5'"),
        ("1 2 3\n\n4 5 6 7\n", "row 3 has 4 columns, but row 1 has 3"),
        ("1 2 3 red\n4 5 6 dark red\n", "row 2 has 5 columns, but row 1 has 4"),
        ("x,y,z,note\n1,2,3,a, b\n", "row 1 names 4 columns .*but the rows have 5"),
        ("x,y,z,note\n1,2,3,a\n1,2,3,a, b\n", "row 3 has 5 columns.*commas in texts .*need quotes"),
        ("1 2 3\nEOF\n", "row 2 has 1 columns"),
        ("1 2 3\nx y z\n", "row 2 is no point: its x 'x' is no number"),
        ("1 2 3\n4 five 6\n", "row 2 is no point: its y 'five' is no number"),
        ("x,y,z\n[m],[m],[m]\n1,2,3\n", r"row 2 is no point: '\[m\]"),
        ("some\nnotes\n", "no row of numbers; row 1 is no point: 'some'"),
        ("my chair\n1 2 3\n", "row 1 neither is a point .*'my chair'; begin notes with #"),
        ("chair 1 2 3\n", "row 1 is no point: 'chair 1 2 3'"),
        ("time,x,y\n1,2,3\n", r"not named x, y and z, but time, x, y \(row 1\)"),
        ("nx,ny,nz\n1,0,0\n", "not named x, y and z, but nx, ny, nz"),
        ("id,u,v,w\n1,2,3,4\n", "not named x, y and z, but id, u, v, w"),
        ("x,y,z,x\n1,2,3,4\n", "2 columns are named 'x'"),
        ('"x" "y" "z"\n"1" 1 2 3\n', "row 1 names 3 columns .*, but the rows have 4"),
        ("# the x y z of it\n1 2 3 4\n", "row 1 names 6 columns .*but the rows have 4"),
        ("# intensity x y z\n1 2 3\n", None),  # a table of three columns has no other x, y, z
        ("5\n1 2 3\n4 5 6\n", "row 1 declares 5 points, but 2 follow"),
        ("1\n1 2 3\n4 5 6\n", "row 1 declares 1 points, but 2 follow"),
        ("1\n1 2 3\n2\n4 5 6\n", "row 3 declares 2 points, but 1 follow"),
        ("2\n2\n1 2 3\n", "row 1 declares 2 points, but row 2 is another count"),
        ("0,5, 0,0, -2,0\n", "row 1 may have decimal commas: '0,5, 0,0, -2,0'"),
        ("0,05,1,5,2,5\n", "row 1 may have decimal commas"),
        ("1.5;2;3\n1;2,5;3\n", "row 1 has decimal points and row 2 decimal commas"),
        ("1;2;3\n1.234,5;2;3\n", "row 2 has decimal points and row 2 decimal commas"),
        ("1;2;3\n1,234,567;2;3\n", "its x '1.234,567' is no number"),
        ('x,y,z\n"1,2,3\n', "row 2 is no point|quotes in row 2 do not end"),
        ('x,y,z\n1,2,3\n"1,2,3\n', "the quotes in row 3 do not end"),
        ("1 2 3\n1e400 0 0\n", "row 2 is no point: its x '1e400' exceeds float64"),
        ("1e400 2 3\n", "row 1 is no point: its x '1e400' exceeds float64"),
        ("0x1A 0 0\n1 2 3\n", "row 1 is no point: '0x1A 0 0'"),
        ("1 2 3\n0x1A 0 0\n", "its x '0x1A' is no number"),
        ("1 2 3\n1_000 0 0\n", "its x '1_000' is no number"),
        ("1 2 3\n1 2 inf\n", r"points\[1\] is not finite: \[1.0, 2.0, inf\]"),
        ("x,y,z\n1,2,3\n1,,3\n", r"points\[1\] is not finite: \[1.0, nan, 3.0\]"),
        ("x,y,z\n1,2,3\n#DIV/0!,5,6\n", "row 3 is no point: its x '#DIV/0!' is no number"),
        ("1;2;3\n4;#WERT!;6\n", "row 2 is no point: its y '#WERT!'"),
        ('x,y,z\n"1,234",2,3\n', "row 2 has the number '1,234', whose comma may separate thou"),
        ('x,y,z\n1,2,3\n"-4,000",5,6\n', "row 3 has the number '-4,000'"),
        ("0,1,2\n1.5,2.5,3.5\n", "row 1 seems to number the columns"),
        ("0\t1\t2\t3\n1.5\t2.5\t3.5\t4\n", "row 1 seems to number the columns"),
        ("0,.5,1,2\n1,.5,1,3\n2,.5,1,2\n3,.5,1,2\n", "first column seems to number the rows"),
        ("1 .5 1 2\n2 .5 1 3\n3 .5 1 2\n4 .5 1 2\n", "first column seems to number the rows"),
        (b"1 2 3\n\x00\x01\x02 4 5\n", "holds zero bytes, so it is no text"),
        (b"\xff\xfe1\x00 \x00\xd8", "its text is damaged"),
    ],
)
def test_what_is_no_table_is_refused_with_its_row(tmp_path, text, message):
    path = put(tmp_path / "a.csv", text)
    if message is None:
        assert len(read_points(path)) == 1
        return
    with pytest.raises(ValueError, match=message) as caught:
        read_points(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("0,1,2\n3,4,5\n", [[0, 1, 2], [3, 4, 5]]),
        ("0 1 2\n.5 4 5\n", [[0, 1, 2], [0.5, 4, 5]]),
        ("0.0,1,2\n.5,4,5\n", [[0, 1, 2], [0.5, 4, 5]]),
        ("x,y,z,i\n0,.5,1,2\n1,.5,1,2\n2,.5,1,2\n3,.5,1,2\n", [[x, 0.5, 1] for x in range(4)]),
        ("0 .5 1\n1 .5 1\n2 .5 1\n3 .5 1\n", [[x, 0.5, 1] for x in range(4)]),
        ('x,y,z\n"0,234",2,3\n"1,500",2,3\n', [[0.234, 2, 3], [1.5, 2, 3]]),
        ("x;y;z\n1,234;2;3\n", [[1.234, 2, 3]]),
        ("x,y,z,i\n1,2,3,#N/A\n", [[1, 2, 3]]),
        ("#DONE! by me\n1,2,3\n", [[1, 2, 3]]),
    ],
)
def test_what_only_looks_like_numbering_or_errors_is_read(tmp_path, text, points):
    read = read_points(put(tmp_path / "a.csv", text), dtype=np.float64)
    np.testing.assert_array_equal(read, points)


@pytest.mark.parametrize("missing", ["", "NA", "nan", '"NaN"', "null"])
def test_missing_rows_are_counted(tmp_path, missing):
    row = ",".join([missing] * 3)
    path = put(tmp_path / "a.csv", f"id,x,y,z\n0,{row}\n1,0.5,0,-2\n2,1,2.25,3e-3\n3,{row}\n")
    with pytest.warns(DataWarning, match="2 of 4 rows are NaN"):
        points = read_points(path, dtype=np.float64)
    np.testing.assert_array_equal(points, TWO)


CELLS = st.sampled_from(["chair", "a b", "a;b", "a,b", "tab\there", 'say "hi"', "#5", "x//y", "7"])
NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_whatever_the_csv_writer_writes_is_read(tmp_path_factory, data):
    """Tables of any delimiter, quoting, order of columns, notes and ends of lines."""
    rows = data.draw(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=5))
    extra = data.draw(st.lists(st.lists(CELLS, min_size=5, max_size=5), max_size=2))
    names = data.draw(st.permutations(["X", "y", "Z", *[f"extra {i}" for i in range(len(extra))]]))
    delimiter = data.draw(st.sampled_from(";,\t|"))
    decimal = data.draw(st.sampled_from(".,"))
    quoting = data.draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\n")
    writer.writerow(names)
    for at, xyz in enumerate(rows):
        known = dict(zip("XyZ", (f"{v:.3f}".replace(".", decimal) for v in xyz), strict=True))
        # Marks of comments begin one outside of quotes, and only there.
        cells = [f"extra {i}" for i in range(len(extra))]
        known |= {
            name: cell[at]
            if quoting == csv.QUOTE_ALL
            else cell[at].replace("#", "").replace("//", "")
            for name, cell in zip(cells, extra, strict=True)
        }
        writer.writerow([known[name] for name in names])
    content = "# notes\n" * data.draw(st.integers(0, 2)) + text.getvalue()
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    path = tmp_path_factory.mktemp("table") / "a.csv"
    points = load_table(put(path, content.replace("\n", end).encode(encoding)))
    np.testing.assert_array_equal(points, np.array(rows))


def test_long_tables_are_read_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "LINES_AT_ONCE", 7)
    points = np.random.default_rng(0).normal(size=(50, 3)).round(4)
    lines = [" ".join(map(str, row)) for row in points.tolist()]
    lines[20] += "  # a remark"
    lines.insert(33, "")
    path = put(tmp_path / "a.xyz", "\n".join(["50", *lines]))
    np.testing.assert_array_equal(load_table(path), points)
    lines[40] = "1 2 five"
    with pytest.raises(ValueError, match="row 42 is no point: its z 'five'"):
        load_table(put(path, "\n".join(["50", *lines])))
    lines[40] = "1,5 2 3"
    with pytest.raises(ValueError, match="row 2 has decimal points and row 42 decimal commas"):
        load_table(put(path, "\n".join(["50", *lines])))
