"""The benchmark script, run end to end on tiny clouds in a process of its own.

It holds its process to a few threads and cores, so it must not run in that of the tests.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE_ROW = re.compile(r"^\| (?P<who>[^|]+) \| (?P<median>[^|]+) \|", re.MULTILINE)


def run_benchmarks(page, *arguments):
    command = [sys.executable, "-m", "benchmarks.run", "--rounds", "1", "--out", str(page)]
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return page.read_text(encoding="utf-8")


def section(page, title):
    return re.split(r"^#+ ", page.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def contestants(page, title):
    rows = TABLE_ROW.findall(section(page, title))
    return {who.split(" (")[0] for who, median in rows if re.match(r"[\d.]+ (s|ms|µs)", median)}


@pytest.fixture(scope="module")
def page_path(tmp_path_factory):
    return tmp_path_factory.mktemp("benchmarks") / "RESULTS.md"


@pytest.fixture(scope="module")
def page(page_path):
    suites = ("knn", "rri", "ward", "edge_conv", "growth", "kmeans_growth")
    return run_benchmarks(page_path, "--only", *suites, "--scale", "0.001", "--no-memory")


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("k nearest neighbours", {"pcclust", "scipy", "torch cdist + topk"}),
        ("RRI, neighbours included", {"pcclust", "pcclust.knn alone", "plain torch"}),
        ("Ward linkage", {"pcclust", "scipy"}),
        ("EdgeConv, forward and backward", {"pcclust", "textbook torch"}),
        ("Growth of k-means with the features", {"pcclust", "scikit-learn"}),
    ],
)
def test_times_everybody_who_is_always_there(page, title, names):
    assert names <= contestants(page, title)


def test_every_answer_agrees_and_nobody_fails(page):
    assert "†" not in section(page, "Everybody")
    assert "WRONG" not in page
    assert "failed" not in section(page, "Left out")


def test_summary_has_a_ratio_and_a_goal_for_each_case(page):
    in_short = section(page, "In short").splitlines()
    rows = [line for line in in_short if line.startswith("| k nea")]
    assert len(rows) == 7
    assert not any(line.startswith("| Growth") for line in in_short)
    assert all(re.search(r"\*\*\d+\.\d\d×\*\*", row) for row in rows)
    assert sum("≥ 3×" in row for row in rows) == 5


def test_growth_has_a_row_for_each_size(page):
    knn = section(page, "The 16 nearest neighbours of every point of one cloud")
    sizes = [row[0] for row in TABLE_ROW.findall(knn)]
    assert sizes[-4:] == ["1,000", "2,000", "4,000", "8,000"]
    kmeans = section(page, "k-means: 100 clusters, 64 columns, 20 iterations")
    assert [row[0] for row in TABLE_ROW.findall(kmeans)][-2:] == ["200", "1,000"]


def test_growth_is_drawn(page, page_path):
    assert "](RESULTS.png)" in section(page, "Growth")
    assert page_path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux's /proc")
def test_peak_memory_holds_the_output_and_not_much_more(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.memory import peak_bytes

    peak = peak_bytes("benchmarks.knn", case=3, contestant="pcclust", threads=1, scale=0.5)
    output = 50_000 * 16 * (4 + 8)
    assert output < peak + (1 << 20) < 2 * output


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux's /proc")
def test_growth_alone_has_the_memory_of_peers_and_no_goals(tmp_path):
    page = run_benchmarks(tmp_path / "R.md", "--only", "kmeans_growth", "--scale", "0.001")
    rows = section(page, "k-means: 100 clusters, 64 columns, 20 iterations").splitlines()
    names, largest = (row.split(" | ") for row in rows if re.match(r"\| (features|1,000) ", row))
    assert "scikit-learn, peak MiB" in names
    assert re.fullmatch(r"\d+\.\d", largest[names.index("scikit-learn, peak MiB")])
    assert "# In short" not in page


def test_a_missing_peer_is_named_and_left_out(tmp_path, monkeypatch):
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn" / "__init__.py").write_text("raise ImportError('sklearn is hidden')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    page = run_benchmarks(
        tmp_path / "R.md", "--only", "knn_features", "--scale", "0.01", "--no-memory"
    )
    assert "- **scikit-learn**: sklearn is hidden." in section(page, "Left out")
    assert "pcclust" in contestants(page, "k nearest neighbours among features")


def test_a_wrong_answer_of_ours_is_not_timed(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(
        "import pcclust\n"
        "right = pcclust.knn\n"
        "pcclust.knn = lambda *a, **k: right(*a, **k)._replace(distances=right(*a, **k)[0] * 1.01)"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    with pytest.raises(AssertionError):
        run_benchmarks(
            tmp_path / "R.md", "--only", "knn_features", "--scale", "0.01", "--no-memory"
        )
    page = (tmp_path / "R.md").read_text(encoding="utf-8")
    assert "WRONG" in page
    assert "pcclust" not in contestants(page, "k nearest neighbours among features")


def test_what_is_kept_is_not_measured_again(tmp_path):
    parts = ("--parts", str(tmp_path / "parts"), "--scale", "0.001", "--no-memory")
    first = run_benchmarks(tmp_path / "page.md", "--only", "farthest_point", *parts)
    kept = (tmp_path / "parts" / "farthest_point.json").read_bytes()
    both = run_benchmarks(tmp_path / "page.md", "--only", "farthest_point", "ward", *parts)
    assert (tmp_path / "parts" / "farthest_point.json").read_bytes() == kept
    rows = [line for line in first.splitlines() if line.startswith("| Farthest point sampling")]
    assert rows
    assert all(row in both for row in rows)
    assert "| Ward linkage" in both
    assert "were measured before" not in both


def test_what_is_kept_of_other_settings_stays_on_the_page_which_says_so(tmp_path):
    parts = ("--parts", str(tmp_path / "parts"), "--no-memory", "--scale")
    first = run_benchmarks(tmp_path / "page.md", "--only", "ward", *parts, "0.002")
    page = run_benchmarks(tmp_path / "page.md", "--only", "farthest_point", *parts, "0.001")
    rows = [line for line in first.splitlines() if line.startswith("| Ward linkage")]
    assert rows
    assert all(row in page for row in rows)
    assert "before the rest of the page, with scale: 0.002." in section(page, "Ward linkage")
    assert "measured before" not in section(page, "Farthest point sampling")
