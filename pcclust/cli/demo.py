"""``pcclust demo``: rotation-invariant features of real shapes, measured and shown."""

import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from pcclust._files import write_whole
from pcclust.cli._bundled_shapes import BUNDLED, NUM_POINTS, load_shapes
from pcclust.cli._demo_page import page, pictures, upright_and_turned
from pcclust.cli._demo_report import TIMED_SHAPES, K, Report, measure, rows, speed_rows
from pcclust.cli._out_folder import make_folder
from pcclust.cli.console import ExitCode, errors, output, progress_bar


def demo(*, out: Path = Path("out/demo"), data: Path = BUNDLED) -> int:
    """Computes RRI of the bundled shapes, turns the shapes, and shows that the features stay.

    Prints the measurements, and writes them as report.html, a page to turn a shape in and to point
    at its points, and as report.png; views.png shows the shape alone.

    Args:
        out: the folder for the report; it is made where it does not exist.
        data: the folder with the bundled shapes, data/ of a clone of the repository.
    """
    start = time.perf_counter()
    shapes = load_shapes(data)
    make_folder(out)
    elsewhere = [] if data == BUNDLED else ["--data", str(data)]
    command = shlex.join(["pcclust", "demo", "--out", str(out), *elsewhere])
    with progress_bar("shapes") as progress:
        report = measure(shapes, progress)
    output.print(*_terminal(report), sep="\n")
    views = upright_and_turned(data)
    files = {"report.html": page(report, views, command).encode()}
    code = ExitCode.DONE
    try:
        files |= pictures(report, views, command)
    except ImportError as error:
        errors.print(f"No picture: {error}")
        code = ExitCode.PARTLY_FAILED
    for name, content in files.items():
        write_whole(out / name, content)
    output.print(f"\nMade in {time.perf_counter() - start:.0f} s. Look at")
    for name in files:
        output.print(f"  {out / name}")
    return code


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
    speed.add_column("tier")
    speed.add_column("shapes per second", justify="right")
    for line in speed_rows(report):
        speed.add_row(*line)
    yield speed
    yield Text("How it was measured", style="bold")
    for row in rows(report):
        yield f"  {row.what}: {row.how}"
    yield "  " + ", ".join(f"{name} {value}" for name, value in report.setup.items())
