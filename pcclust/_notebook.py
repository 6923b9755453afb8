"""What a notebook shows of a value, in place of its repr."""

from importlib import import_module


class InNotebooks:
    """What is shown as HTML where Jupyter displays it.

    The markup is made on a higher floor, by `pcclust.report.notebook`, which is imported when the
    first value is displayed.
    """

    def _repr_html_(self) -> str:
        # No markup, to which others could not add theirs without its being escaped.
        return str(import_module("pcclust.report.notebook").html_of(self))
