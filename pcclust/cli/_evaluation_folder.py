"""The folder of what was found about one model: JSON and Markdown of each test, and one page."""

from pathlib import Path

from pcclust._files import whole_file
from pcclust.cli._out_folder import make_folder
from pcclust.evaluate import CorruptionReport, LinearReport, RotationReport
from pcclust.report.evaluation_page import evaluation_page
from pcclust.report.page import new_figure

Report = RotationReport | CorruptionReport | LinearReport
PAGE = "report.html"
SAME = ("model", "weights", "data")  # what the tests of one page have in common


class EvaluationFolder:
    """Where reports are written.

    Args:
        path: the folder; it is made where it does not exist.
        about: the model and the data, in words; reports of others are refused.

    Raises:
        ImportError: matplotlib is not installed.
        OSError: the folder cannot be made or written.
        ValueError: the folder holds a report of another model or of other data.
    """

    def __init__(self, path: Path, about: dict[str, str]) -> None:
        new_figure(1, 1)  # says which extra is missing, before much time is spent
        make_folder(path, "--report")
        self.path = path
        for report in self._reports():
            for name in SAME:
                was, now = report.about.get(name), about.get(name)
                if was != now:
                    raise ValueError(
                        f"--report {path} holds what was found with {name} {was}, not {now}: "
                        "name another folder"
                    )

    def write(self, report: Report) -> list[Path]:
        """Writes a report, and the page of all that are there; returns the files."""
        name = report.KIND
        files = {f"{name}.json": report.to_json(), f"{name}.md": report.to_markdown()}
        for file, text in files.items():
            self._write(file, text)
        self._write(PAGE, evaluation_page(*self._reports()))
        return [self.path / file for file in (*files, PAGE)]

    def _write(self, name: str, text: str) -> None:
        with whole_file(self.path / name) as file:
            file.write(text.encode())

    def _reports(self) -> list[Report]:
        """Returns the reports that are there."""
        kinds: tuple[type[Report], ...] = (RotationReport, CorruptionReport, LinearReport)
        paths = [(kind, self.path / f"{kind.KIND}.json") for kind in kinds]
        return [kind.from_json(path.read_text("utf-8")) for kind, path in paths if path.exists()]
