"""What a kind of report needs to be shown: in a terminal, as Markdown and on a page."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from pcclust.evaluate.forward import randomness
from pcclust.report.point_view import Section
from pcclust.report.table import Table, about_table


class Saved(Protocol):
    """What an evaluation found, and can be read again from its JSON."""

    KIND: ClassVar[str]

    @property
    def about(self) -> Mapping[str, str]:
        """The model and the data, in words."""
        ...

    @property
    def settings(self) -> Mapping[str, int | float | str]:
        """How it was tested."""
        ...

    def to_json(self) -> str:
        """Returns everything as JSON."""
        ...

    @classmethod
    def from_json(cls: type["Result"], text: str) -> "Result":
        """Returns the report that `to_json` told of."""
        ...


Result = TypeVar("Result", bound=Saved)


class ReportView(ABC):
    """How the reports of one kind are shown.

    A subclass has the report as ``report``, and says in which tables, sentences and sections of a
    page it is told; it stands in `pcclust.report.registry` beside the kind of its reports.
    """

    title: ClassVar[str]
    report: Any

    @abstractmethod
    def tables(self) -> Sequence[Table]:
        """Returns what a terminal shows, and Markdown first."""

    @abstractmethod
    def notes(self) -> Sequence[str]:
        """Returns how the numbers are defined, a sentence or a few each."""

    @abstractmethod
    def lead(self) -> str:
        """Returns what was found in one sentence."""

    @abstractmethod
    def sections(self) -> Sequence[Section]:
        """Returns the sections of a page.

        Raises:
            ImportError: matplotlib is not installed.
        """

    def randomness(self) -> str:
        """Says that the model is random, if it is: what it answers is one of many answers."""
        return randomness(float(self.report.settings.get("own_change", 0.0)))

    def more_tables(self) -> Sequence[Table]:
        """Returns what Markdown tells besides."""
        return ()

    def failed(self) -> Section:
        """Returns the shapes that failed, where any are known; without views otherwise."""
        return Section(title="Shapes that failed")

    def markdown(self) -> str:
        """Returns tables and notes as Markdown."""
        tables = [table.markdown() for table in (*self.tables(), *self.more_tables())]
        notes = "\n".join(f"- {note}" for note in self.notes())
        made = about_table(self.report.about, self.report.settings).markdown()
        return "\n\n".join([f"# {self.title}", *tables, notes, made]) + "\n"
