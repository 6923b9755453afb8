"""How the measures of clusters are shown; their page is `pcclust.report.cluster_gallery`."""

from pcclust.evaluate.cluster_methods import METHODS
from pcclust.evaluate.clustering_report import MEASURES, ClusteringReport, MethodRuns
from pcclust.report.table import Table


def clustering_table(report: ClusteringReport) -> Table:
    """Returns a measure a row, a method a column: mean ± deviation over the seeds."""
    measured = [method.runs[0] for method in report.methods]
    lines = [(key, False) for key in MEASURES if any(key in run.measures for run in measured)]
    lines += [(key, True) for key in MEASURES if any(key in run.test_measures for run in measured)]
    rows = [["seeds", *(str(len(method.runs)) for method in report.methods)]]
    for key, test in lines:
        title = f"test {MEASURES[key].title}" if test else MEASURES[key].title
        rows.append([title, *(_cell(method, key, test) for method in report.methods)])
    return Table(["", *(METHODS[method.method].title for method in report.methods)], rows)


def clustering_markdown(report: ClusteringReport) -> str:
    """Returns the table and the notes as Markdown."""
    notes = "\n".join(f"- {note}" for note in report.notes)
    return f"{clustering_table(report).markdown()}\n\n{notes}\n"


def _cell(method: MethodRuns, key: str, test: bool) -> str:
    if key not in (method.runs[0].test_measures if test else method.runs[0].measures):
        return "–"
    value, deviation = method.mean_and_deviation(key, test=test)
    scale, digits = (100 if MEASURES[key].percent else 1), MEASURES[key].digits
    spread = "" if deviation is None else f" ± {scale * deviation:.{digits}f}"
    return f"{scale * value:.{digits}f}{spread}"
