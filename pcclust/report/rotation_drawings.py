"""Drawings of a report of rotations, as markup of its page."""

import numpy as np

from pcclust.evaluate.rotation_report import RotationReport
from pcclust.report.figure import INK, QUIET, RULE, SERIES, inline_svg, new_figure, page_style
from pcclust.report.templates import Markup

CELL = (0.16, 0.55, 0.55)  # a colour that stands out on white and on black


def tilt_drawing(report: RotationReport) -> Markup:
    """Draws the accuracy against the angle of tilt, a line for each training orientation."""
    with page_style():
        figure = new_figure(4.5, 3)
        axes = figure.subplots()
        for name, colour in zip(report.tilt_predictions, SERIES, strict=False):
            label = f"trained on {name}" if name else None
            accuracy = 100 * report.tilt_accuracy(name)
            axes.plot(report.tilt_degrees, accuracy, "o-", color=colour, ms=4, label=label)
        axes.set(xlim=(-3, 183), ylim=(0, 102), xlabel="tilt from upright", ylabel="accuracy (%)")
        axes.set_xticks(range(0, 181, 45), [f"{angle}°" for angle in range(0, 181, 45)])
        axes.grid(axis="y", linewidth=0.8)
        if any(report.tilt_predictions):
            figure.legend(frameon=False, loc="outside upper right", ncols=3)
        return inline_svg(figure, "Accuracy against the tilt of the shapes")


def class_drawing(report: RotationReport) -> Markup:
    """Draws the classes in the order of what they lose, from the first protocol to the last."""
    protocols = list(report.predictions)
    columns = {name: 100 * report.under(name).per_class for name in protocols}
    shown = np.flatnonzero(~np.isnan(columns[protocols[0]]))
    lost = (columns[protocols[0]] - columns[protocols[1]])[shown]
    order = shown[np.argsort(-lost, kind="stable")]
    rows = np.arange(len(order))
    with page_style():
        figure = new_figure(7.2, 1 + 0.21 * len(order))
        axes = figure.subplots()
        ends = np.stack([columns[name][order] for name in protocols])
        axes.hlines(rows, ends.min(axis=0), ends.max(axis=0), color=RULE, linewidth=3)
        for name, colour, mark in zip(protocols, (*SERIES, INK), "oDs^", strict=False):
            axes.plot(columns[name][order], rows, mark, color=colour, ms=5, label=name)
        axes.set_yticks(rows, [report.class_names[label] for label in order], fontsize=8.5)
        axes.set(xlim=(-2, 102), ylim=(len(order) - 0.4, -0.6), xlabel="accuracy (%)")
        axes.grid(axis="x", linewidth=0.8)
        figure.legend(frameon=False, loc="outside upper right", ncols=len(protocols))
        return inline_svg(figure, "Accuracy of each class under each protocol")


def confusion_drawing(report: RotationReport, protocol: str) -> Markup:
    """Draws which class is predicted as which; classes that nobody has or predicts are left out."""
    counts = report.under(protocol).confusion
    shown = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    counts = counts[np.ix_(shown, shown)]
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = np.zeros((*fractions.shape, 4))
    cells[..., :3], cells[..., 3] = CELL, fractions**0.6  # so that few mistakes show too
    names = [report.class_names[label] for label in shown]
    side = 1.8 + 0.15 * max(len(names), 8)
    with page_style():
        figure = new_figure(side, side)
        axes = figure.subplots()
        axes.imshow(cells, interpolation="nearest")
        size = 7 if len(names) > 20 else 9
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
        axes.set_yticks(range(len(names)), names, fontsize=size)
        axes.tick_params(length=0)
        axes.spines[:].set(visible=True, color=RULE)
        axes.set_xlabel("predicted as", color=QUIET)
        axes.set_ylabel("true class", color=QUIET)
        return inline_svg(figure, f"Confusion of classes under {protocol}")
