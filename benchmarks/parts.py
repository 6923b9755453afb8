"""What a run of the benchmarks has measured, kept so that the same command goes on from there."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.report import Outcome
from benchmarks.suite import Suite
from benchmarks.timing import Measured, Result
from pcclust._files import write_whole


class Parts:
    """One file for each suite in a folder; without a folder nothing is kept.

    Args:
        folder: where the files are, or None.
        settings: what the measurements depend on. Files of other settings are measured anew.
    """

    def __init__(self, folder: Path | None, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.settings = settings

    def holds(self, name: str) -> bool:
        """Returns whether something of a suite is kept."""
        file = self._file(name)
        return file is not None and file.is_file()

    def read(self, name: str, suite: Suite[Any], *, whatever: bool = False) -> Outcome:
        """Returns the cases of a suite that are measured, in order from the first.

        Args:
            name: of the suite.
            suite: the suite.
            whatever: take those of other settings, too; the outcome then says of which.
        """
        outcome = Outcome(suite)
        file = self._file(name)
        if file is None or not self.holds(name):
            return outcome
        content = json.loads(file.read_text(encoding="utf-8"))
        outcome.before = {
            setting: content["settings"].get(setting, "not known")
            for setting in {**self.settings, **content["settings"]}
            if content["settings"].get(setting) != self.settings.get(setting)
        }
        if outcome.before and not whatever:
            return Outcome(suite)
        for case, kept in zip(suite.cases, content["results"], strict=False):
            measured = {each["name"]: Measured(**each) for each in kept.pop("measured")}
            outcome.results.append(Result(case, measured=measured, **kept))
        return outcome

    def write(self, name: str, outcome: Outcome) -> None:
        """Keeps what is measured of a suite; one with a wrong answer is measured again."""
        file = self._file(name)
        if file is None or outcome.wrong:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        results = [
            {
                "label": result.label,
                "measured": [asdict(measured) for measured in result.measured.values()],
                "absent": result.absent,
                "input_bytes": result.input_bytes,
                "output_bytes": result.output_bytes,
            }
            for result in outcome.results
        ]
        content = {"settings": self.settings, "results": results}
        write_whole(file, json.dumps(content, indent=1).encode())

    def _file(self, name: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{name}.json"
