"""Tables of reports, drawn in a terminal."""

from rich.box import SIMPLE_HEAD
from rich.table import Table as Drawn

from pcclust.report.page import Table


def drawn(table: Table) -> Drawn:
    """Returns a table for the terminal, as narrow as can be: 80 columns hold it."""
    result = Drawn(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=table.caption,
        title_justify="left",
        title_style="bold",
    )
    for heading, number in zip(table.header, table.numeric, strict=True):
        result.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in table.rows:
        result.add_row(*row)
    return result
