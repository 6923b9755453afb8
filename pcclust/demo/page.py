"""The page and the picture of `pcclust demo`."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from pcclust.demo.clusters import FurnitureClusters, cluster_section
from pcclust.demo.measure import channels
from pcclust.demo.report import ROTATIONS, TIMED_SHAPES, K, Report, rotations, rows, speed_rows
from pcclust.demo.shapes import NUM_POINTS, load_mesh
from pcclust.report.cluster_rows import SCRIPT as CLUSTER_SCRIPT
from pcclust.report.page import render_page
from pcclust.report.point_view import PointView, Section
from pcclust.report.rri_figure import draw_report, draw_views, png
from pcclust.report.table import Table
from pcclust.report.templates import Markup, paragraphs

SHOWN, SHOWN_POINTS = "meshes/horse2.obj", 4096
TURN = 1  # which of the rotations turns it
GALLERY_STRIDE = 16
PERCENTILES = (1, 99)
SAME = 1e-6  # far above what rounding does to these points, far below what an eye sees
TITLE = "{count} real shapes turned any way: the same features"


def upright_and_turned(data: Path) -> list[PointView]:
    """Returns two views of one shape, whose features are computed apart, in float64."""
    upright = load_mesh(data / SHOWN, SHOWN_POINTS)
    turned = upright @ rotations()[TURN].T
    return [
        PointView(upright, channels(upright, K), "upright"),
        PointView(turned, channels(turned, K), "turned"),
    ]


def page(
    report: Report, clusters: FurnitureClusters, views: Sequence[PointView], command: str
) -> str:
    """Returns the interactive page."""
    double = report.invariance["float64"]
    lead = (
        "Rotation-invariant features (RRI) describe every point by distances and angles to its "
        f"nearest neighbours. {ROTATIONS} random rotations of each of {report.turned} shapes "
        f"changed no feature by more than {double.changes.max():.1e} rad or radii in float64, on "
        f"the {100 * (1 - double.fraction_changed):.6g} % of points that kept their neighbours. "
        "Of the furniture, clustered by an encoder that comes with pcclust and learned without "
        f"labels, {100 * mean(clusters.staying):.4g} % stay in their cluster when they are turned."
    )
    sections = [
        _pair(report, views),
        _numbers(report),
        _gallery(report),
        cluster_section(clusters),
        _setup(report, clusters, command),
    ]
    return render_page(
        TITLE.format(count=report.turned),
        sections,
        lead=lead,
        scripts=["point_view", CLUSTER_SCRIPT],
        styles=[CLUSTER_SCRIPT],
    )


def pictures(report: Report, views: Sequence[PointView], command: str) -> dict[str, bytes]:
    """Returns PNG files: the views with the measurements, and the views alone.

    Raises:
        ImportError: matplotlib is not installed.
    """
    setup = ", ".join(f"{name} {value}" for name, value in report.setup.items())
    whole = draw_report(
        views,
        {name: invariance.changes for name, invariance in report.invariance.items()},
        report.rates,
        title=TITLE.format(count=report.turned),
        footer=f"{NUM_POINTS:,} points a shape, k = {K}, {ROTATIONS} random rotations (Haar) of "
        f"each of {report.turned} shapes; speed: float32, batches of {TIMED_SHAPES}. "
        f"Made by: {command}\n{setup}",
    )
    alone = draw_views(
        views, title="Turn a shape: its coordinates change, its rotation-invariant features stay"
    )
    return {"report.png": png(whole), "views.png": png(alone)}


def _pair(report: Report, views: Sequence[PointView]) -> Section:
    html = paragraphs(
        f"The same {len(views[0].points):,} points twice. The features of the turned ones were "
        "computed anew, from their own coordinates, in float64. Drag to turn both views, click one "
        "and wheel to zoom, point at a point to read its two values."
    )
    return Section(
        title="One shape, upright and turned",
        html=html,
        views=views,
        linked=True,
        notes=_differences(*views),
        percentiles=PERCENTILES,
    )


def _differences(upright: PointView, turned: PointView) -> dict[str, str]:
    notes = {}
    for name, values in upright.channels.items():
        channel, unit = name.split(":")[0], name.rpartition("(")[2].rstrip(")")
        most = float(abs(values - turned.channels[name]).max())
        if most < SAME:
            notes[name] = f"{channel} is the same: no point differs by more than {most:.1e} {unit}."
        else:
            notes[name] = f"{channel} is not the same: points differ by up to {most:.2g} {unit}."
    return notes


def _numbers(report: Report) -> Section:
    measured = Table(["", "float32", "float64", "how it was measured"], rows(report)).html()
    speed = Table(
        ["backend", "shapes per second"],
        speed_rows(report),
        caption=f"Speed of rri: a batch of {TIMED_SHAPES} shapes in float32, median of the runs "
        "of one second.",
    ).html()
    return Section(title="What was measured", html=measured + speed, wide=True)


def _gallery(report: Report) -> Section:
    views = []
    for i in _shown_in_gallery(report):
        name, cloud = report.shapes.names[i], report.shapes.clouds[i]
        features = list(channels(cloud, K).items())[:-1]
        views.append(PointView(cloud, dict(features), Path(name).stem))
    return Section(
        title=f"Some of the {len(report.shapes.names)} shapes",
        html=paragraphs(f"{NUM_POINTS:,} points each, as they were measured."),
        views=views,
        percentiles=PERCENTILES,
        view_width=170,
    )


def _shown_in_gallery(report: Report) -> range:
    return range(0, len(report.shapes.names), GALLERY_STRIDE)


def _setup(report: Report, clusters: FurnitureClusters, command: str) -> Section:
    again = Markup("<pre>{}</pre>").format(command)
    table = Table(["made with", ""], list(report.setup.items())).html()
    shown = [SHOWN, *(report.shapes.names[i] for i in _shown_in_gallery(report))]
    shown += [f"furniture.h5: {clusters.shapes.names[i]}" for i in clusters.shown]
    by_author: dict[str, list[str]] = {}
    for name in dict.fromkeys(shown):
        by_author.setdefault(report.shapes.credits[name], []).append(Path(name).stem)
    credits = "; ".join(f"{author}: {', '.join(of)}" for author, of in sorted(by_author.items()))
    terms = paragraphs(
        f"Shapes shown, by their authors: {credits}. All were point-sampled, centred "
        "and rescaled; data/CREDITS.md names the authors of all shapes, data/LICENSES holds the "
        "licences."
    )
    return Section(title="How to make it again", html=again + table + terms)
