"""``pcclust demo``: real shapes described and clustered in any orientation, measured and shown."""

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from pcclust._files import write_whole
from pcclust._lock import locked_folder
from pcclust.cli.console import ExitCode, drawn, errors, make_folder, output, progress_bar
from pcclust.demo.clusters import (
    FurnitureClusters,
    cluster_furniture,
    cluster_notes,
    cluster_table,
)
from pcclust.demo.page import page, pictures, upright_and_turned
from pcclust.demo.report import TIMED_SHAPES, K, Report, measure, rows, speed_rows
from pcclust.demo.shapes import BUNDLED, NUM_POINTS, BundledShapes, load_shapes


def demo(*, out: Path = Path("out/demo"), data: Path = BUNDLED) -> int:
    """Describes and clusters bundled shapes, turns them, and shows: nothing changes.

    First come rotation-invariant features of points (RRI), then clusters of the furniture by an
    encoder that comes with pcclust and was trained without labels. Prints the measurements, and
    writes them as report.html, a page to turn shapes in and to point at their points, and those of
    RRI as report.png; views.png shows a shape alone.

    Args:
        out: the folder for the report; it is made where it does not exist.
        data: the folder with the bundled shapes, data/ of a clone of the repository.
    """
    start = time.perf_counter()
    shapes = load_shapes(data)
    make_folder(out)
    with locked_folder(out):
        return _demonstrate(shapes, out, data, start)


def _demonstrate(shapes: BundledShapes, out: Path, data: Path, start: float) -> int:
    elsewhere = [] if data == BUNDLED else ["--data", str(data)]
    command = shlex.join(["pcclust", "demo", "--out", str(out), *elsewhere])
    with progress_bar("shapes") as progress:
        report = measure(shapes, progress)
        clusters = cluster_furniture(data, progress)
    output.print(*_terminal(report), *_terminal_clusters(clusters), sep="\n")
    views = upright_and_turned(data)
    files = {"report.html": page(report, clusters, views, command).encode()}
    try:
        files |= pictures(report, views, command)
    except ImportError as error:
        errors.print(f"No picture: {error}")
    for name, content in files.items():
        write_whole(out / name, content)
    output.print(f"\nMade in {time.perf_counter() - start:.0f} s. Look at")
    for name in files:
        output.print(f"  {out / name}")
    return ExitCode.DONE


def _terminal(report: Report) -> Iterator[Table | Text | str]:
    """Yields what the terminal shows: numbers first, then how they came about."""
    count = len(report.shapes.names)
    numbers = Table(box=SIMPLE_HEAD, title_justify="left", title_style="bold")
    numbers.title = f"RRI of {count} real shapes, {NUM_POINTS:,} points each, k = {K}"
    for heading in ("", "float32", "float64"):
        numbers.add_column(heading, justify="right" if heading else "left")
    for row in rows(report):
        numbers.add_row(row.what, row.float32, row.float64)
    yield numbers
    speed = Table(box=SIMPLE_HEAD, title_justify="left", title_style="bold")
    speed.title = f"Speed, {TIMED_SHAPES} shapes at once, float32"
    speed.add_column("backend")
    speed.add_column("shapes per second", justify="right")
    for line in speed_rows(report):
        speed.add_row(*line)
    yield speed
    yield Text("How it was measured", style="bold")
    for row in rows(report):
        yield f"  {row.what}: {row.how}"
    yield "  " + ", ".join(f"{name} {value}" for name, value in report.setup.items())


def _terminal_clusters(clusters: FurnitureClusters) -> Iterator[Table | Text | str]:
    """Yields what the terminal shows of the clusters."""
    count = len(clusters.shapes)
    yield Text(f"\n{count} shapes of furniture clustered, upright and turned", style="bold")
    yield drawn(cluster_table(clusters))
    for note in cluster_notes(clusters):
        yield f"  {note}"
