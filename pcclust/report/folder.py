"""The folder of what was found about one model: JSON and Markdown of each test, and one page."""

from collections.abc import Mapping
from pathlib import Path

from pcclust._extras import require
from pcclust._files import write_whole
from pcclust.report.base import Saved
from pcclust.report.evaluation_page import evaluation_page
from pcclust.report.registry import REPORTS, view_of

PAGE = "report.html"
SAME = ("model", "weights", "data")  # what the tests of one page have in common


class ReportFolder:
    """Where reports are written; it is made with the first of them.

    Args:
        path: the folder.
        about: the model and the data, in words; reports of others are refused.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: the folder holds a report of another model or of other data, or a file that
            is no report.
    """

    def __init__(self, path: Path, about: Mapping[str, str]) -> None:
        require("matplotlib", "reports")  # before much time is spent
        self.path = path
        for report in self._reports():
            for name in SAME:
                was, now = report.about.get(name), about.get(name)
                if was != now:
                    raise ValueError(
                        f"--report {path} holds what was found with {name} {was}, not {now}: "
                        "name another folder"
                    )

    def write(self, report: Saved) -> list[Path]:
        """Writes a report, and the page of all that are there; returns the files."""
        self.path.mkdir(parents=True, exist_ok=True)
        name = report.KIND
        files = {f"{name}.json": report.to_json(), f"{name}.md": view_of(report).markdown()}
        for file, text in files.items():
            write_whole(self.path / file, text.encode())
        write_whole(self.path / PAGE, evaluation_page(*self._reports()).encode())
        return [self.path / file for file in (*files, PAGE)]

    def _reports(self) -> list[Saved]:
        """Returns the reports that are there."""
        paths = [(kind.report, self.path / f"{name}.json") for name, kind in REPORTS.items()]
        return [_read(kind, path) for kind, path in paths if path.exists()]


def _read(kind: type[Saved], path: Path) -> Saved:
    try:
        report: Saved = kind.from_json(path.read_text("utf-8"))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}): move it away, or name another folder by --report"
        ) from error
    return report
