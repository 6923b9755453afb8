"""What speaks for a number of clusters, drawn over the number."""

from typing import TYPE_CHECKING, NamedTuple

from pcclust.report.templates import Markup, render

if TYPE_CHECKING:
    from pcclust.cluster import CurvePoint, NumberOfClusters

TITLES = {
    "silhouette": "Silhouette",
    "prediction_strength": "Prediction strength",
    "agreement": "Agreement of seeds (ARI)",
}
LEFT, RIGHT, TOP, BOTTOM = 40, 270, 10, 140  # of the axes, in the units of the drawing


class Panel(NamedTuple):
    """A criterion's curve: its title, its range, its value at the number chosen, its corners."""

    title: str
    low: float
    high: float
    at_best: float
    points: str


def number_curve(found: "NumberOfClusters") -> Markup:
    """Draws the criteria of `pcclust.cluster.number_of_clusters`, each a curve over the number.

    Args:
        found: the curve and the number chosen.

    Example:
        >>> from pcclust.cluster import CurvePoint, NumberOfClusters
        >>> curve = (CurvePoint(2, 0.1, 0.9, 1.0), CurvePoint(3, 0.4, 0.8, 0.9))
        >>> page = number_curve(NumberOfClusters(curve, 3, "prediction strength"))
        >>> page.count("<svg"), "3 clusters were chosen by prediction strength" in page
        (3, True)
    """
    numbers = [point.n_clusters for point in found.curve]
    panels = [_panel(found, name, title) for name, title in TITLES.items()]
    return render(
        "number_curve",
        best=found.best,
        criterion=found.criterion,
        doubts=found.doubts,
        panels=panels,
        first=numbers[0],
        last=numbers[-1],
        best_x=_across(found.best, numbers),
    )


def _panel(found: "NumberOfClusters", name: str, title: str) -> Panel:
    values = [float(getattr(point, name)) for point in found.curve]
    low, high = min(values), max(values)
    numbers = [point.n_clusters for point in found.curve]
    corners = [
        f"{_across(number, numbers):.1f},{_up(value, low, high):.1f}"
        for number, value in zip(numbers, values, strict=True)
    ]
    chosen: CurvePoint = next(point for point in found.curve if point.n_clusters == found.best)
    return Panel(title, low, high, float(getattr(chosen, name)), " ".join(corners))


def _across(number: int, numbers: list[int]) -> float:
    span = numbers[-1] - numbers[0]
    return LEFT + (RIGHT - LEFT) * ((number - numbers[0]) / span if span else 0.5)


def _up(value: float, low: float, high: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * ((value - low) / (high - low) if high > low else 0.5)
