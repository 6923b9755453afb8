"""Draws the pictures of docs/gallery from bundled shapes: ``make gallery``, a minute or two."""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from playwright.sync_api import Browser, sync_playwright
from torch import Tensor, nn
from torch.nn import functional as F

import pcclust
from pcclust.cluster import number_of_clusters
from pcclust.data.transforms import RotateUp, UnitSphere, stand_on_z
from pcclust.demo.page import upright_and_turned
from pcclust.evaluate import Rotations
from pcclust.nn import CanonicalPose
from pcclust.report.figure import SERIES, page_style
from pcclust.report.number_curve import TITLES
from pcclust.report.rri_figure import draw_views, png

HERE = Path(__file__).parent
DATA, OUT = HERE.parent / "data", HERE / "gallery"
WEIGHTS = "clusternet-contrastnet-modelnet40"
# Where things stand in the room: a mesh, its place on the floor, its size and its turn.
ROOM = (
    ("table", (0, 0), 1.6, 0.3),
    ("chair2", (-1.0, 0.7), 1.0, 2.2),
    ("foldingChair", (1.1, 0.8), 1.0, -0.6),
    ("couch2", (0.2, -1.7), 2.2, 3.1),
    ("outdoorLamp", (-1.8, -1.4), 1.9, 0.0),
    ("shelves", (2.1, -0.9), 1.9, 1.6),
)


class Small(nn.Module):
    """A small PointNet."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.points = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 256))
        self.head = nn.Linear(256, classes)

    def forward(self, clouds: Tensor) -> Tensor:
        """Returns scores of the classes."""
        scores: Tensor = self.head(self.points(clouds).amax(dim=1))
        return scores


def main() -> None:
    """Writes all pictures."""
    OUT.mkdir(exist_ok=True)
    shapes = pcclust.data.open_dataset(DATA / "furniture.h5", num_points=1024)
    write("channels", draw_views(upright_and_turned(DATA), title=""))
    write("room", draw_room())
    write("tilt", draw_tilt(shapes))
    write("number", draw_number(pcclust.embed(WEIGHTS, UnitSphere()(shapes.points))))
    take_pages()


def write(name: str, figure: Figure) -> None:
    """Writes a drawing in few colours."""
    (OUT / f"{name}.png").write_bytes(png(figure))


def draw_room() -> Figure:
    """Draws a room that was put together from meshes: thinned, and coloured by its normals."""
    scan = np.concatenate([_floor(), *(_placed(*thing) for thing in ROOM)])
    thin = pcclust.voxel_downsample(scan, 0.035)
    thin = thin[0] if isinstance(thin, tuple) else thin
    found = pcclust.normals(thin, k=16, viewpoint=np.array([3.0, 4, 4]))
    turn = np.array([[0.83, -0.56, 0], [0.28, 0.42, 0.87], [-0.48, -0.72, 0.5]])
    across, up, towards = (np.asarray(thin) @ turn.T).T
    order = np.argsort(towards)
    figure = Figure(figsize=(9, 4.6), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    colours = (0.5 + 0.45 * np.asarray(found.normals))[order]
    axes.scatter(across[order], up[order], c=colours, s=3, linewidths=0)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return figure


def _floor() -> NDArray[np.float64]:
    flat = np.random.default_rng(0).uniform((-2.6, -2.4, 0), (2.8, 1.8, 0.005), (30_000, 3))
    return flat


def _placed(name: str, place: tuple[float, float], size: float, turn: float) -> NDArray[np.float64]:
    points = pcclust.read_points(DATA / f"meshes/{name}.obj", num_points=9000).astype(np.float64)
    x, y, z = (points - points.mean(axis=0)).T
    standing = np.stack([x, -z, y], axis=1)
    standing *= size / np.ptp(standing, axis=0).max()
    standing[:, 2] -= standing[:, 2].min()
    cos, sin = np.cos(turn), np.sin(turn)
    return standing @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) + [*place, 0]


def draw_tilt(shapes: pcclust.data.PointDataset) -> Figure:
    """Draws the accuracy by tilt of a model that learned upright shapes, and of its cure."""
    points = stand_on_z(UnitSphere()(shapes.points[:, ::2]), shapes.up_axis or "z")
    assert shapes.labels is not None
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0))
    learned, tested = order[:250], order[250:]
    turns = Rotations(rounds=1, tilts=13)
    with page_style():
        figure, axes = plt.subplots(figsize=(6.4, 3.4), dpi=100, layout="constrained")
        for wrapped, colour in zip((False, True), SERIES, strict=False):
            model = _trained(points[learned], shapes.labels[learned], wrapped)
            report = pcclust.evaluate.rotation(
                model, points[tested], shapes.labels[tested], trained="z", rotations=turns
            )
            name = "in CanonicalPose" if wrapped else "a small PointNet"
            curve = 100 * report.tilt_accuracy("z")
            axes.plot(report.tilt_degrees, curve, "o-", ms=4, color=colour, label=name)
        axes.set(xlabel="tilt from upright (°)", ylabel="accuracy (%)", ylim=(0, 100))
        axes.set_xticks(range(0, 181, 30))
        axes.grid(axis="y", linewidth=0.8)
        figure.legend(frameon=False, loc="outside upper right", ncols=2)
    return figure


def _trained(points: Tensor, labels: Tensor, wrapped: bool) -> nn.Module:
    """Trains on shapes that stand, turned about the up axis alone."""
    torch.manual_seed(0)
    model = CanonicalPose(Small(15)) if wrapped else Small(15)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        rows = torch.randint(len(points), (32,), generator=generator)
        turned = RotateUp("z")(points[rows], generator)
        loss = F.cross_entropy(model(turned), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def draw_number(features: Tensor) -> Figure:
    """Draws what speaks for a number of clusters."""
    found = number_of_clusters(features, range(2, 25))
    numbers = [point.n_clusters for point in found.curve]
    with page_style():
        figure, row = plt.subplots(1, 3, figsize=(9, 2.6), dpi=100, layout="constrained")
        for axes, (name, title) in zip(row, TITLES.items(), strict=True):
            axes.plot(numbers, [getattr(point, name) for point in found.curve], color=SERIES[0])
            axes.axvline(found.best, color="#59616b", linewidth=1, linestyle="--")
            axes.set_title(title, fontsize=10.5)
        row[1].set_xlabel("clusters")
    return figure


def take_pages() -> None:
    """Takes pictures of pages as a desktop and a phone show them."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        out = Path(folder)
        _pcclust(
            "embed", "data/furniture.h5", "--weights", WEIGHTS, "--points", "--out", out / "f.h5"
        )
        _pcclust("cluster", out / "f.h5", "--clusters", 15, "--out", out / "clusters")
        _pcclust("view", "data/meshes", "--shapes", 8, "--out", out / "view.html")
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--no-sandbox"],
        )
        _take(browser, out / "clusters/gallery.html", "clusters_page", 1280, 820, "#cluster-1")
        _take(browser, out / "clusters/gallery.html", "map_page", 1280, 760, ".cluster-map")
        _take(browser, out / "view.html", "view_page", 390, 780, "h1")
        browser.close()


def _pcclust(*arguments: object) -> None:
    command = [sys.executable, "-m", "pcclust", *map(str, arguments)]
    subprocess.run(command, check=True, cwd=HERE.parent, stdout=subprocess.DEVNULL)


def _take(browser: Browser, page: Path, name: str, width: int, height: int, top: str) -> None:
    from PIL import Image

    window = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
    window.goto(page.as_uri())
    window.locator(top).evaluate("(box) => scrollTo(0, box.getBoundingClientRect().top - 16)")
    window.wait_for_timeout(4000)
    small = io.BytesIO()
    taken = Image.open(io.BytesIO(window.screenshot())).convert("RGB")
    taken.quantize(256).save(small, format="png", optimize=True)
    (OUT / f"{name}.png").write_bytes(small.getvalue())


if __name__ == "__main__":
    main()
