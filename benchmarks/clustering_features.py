"""The features that the leaderboard clusters: of both splits, as shapes stand and turned."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.clustering_rows import OTHERS
from pcclust.data import PointDataset
from pcclust.data.named import open_named
from pcclust.data.transforms import UnitSphere
from pcclust.evaluate.posed_features import Posed, posed_features
from pcclust.evaluate.rotations import Rotations
from pcclust.nn.weights import load

SPLITS = ("train", "test")
ROUNDS = 1  # of turns; an encoder that is indifferent to them needs no more


@dataclass(frozen=True)
class Sides:
    """What is clustered: features of both splits, and classes.

    Attributes:
        train: features of training shapes.
        test: features of test shapes.
        labels: ``(N,)`` and ``(M,)`` classes.
    """

    train: Posed
    test: Posed
    labels: tuple[NDArray[np.int64], NDArray[np.int64]]


@cache
def sides_of(dataset: str, encoder: str, folder: Path) -> Sides:
    """Returns features of both splits by a frozen encoder, made once for all rows.

    Those of ModelNet10 are rows of those of ModelNet40, whose shapes they are.
    """
    found = [_features(encoder, split, folder) for split in SPLITS]
    classes = _classes(dataset)
    kept = [np.isin(each["labels"], classes) for each in found]
    labels = [np.searchsorted(classes, e["labels"][k]) for e, k in zip(found, kept, strict=True)]
    posed = [
        Posed(each["upright"][rows], [turned[rows] for turned in each["turned"]])
        for each, rows in zip(found, kept, strict=True)
    ]
    return Sides(posed[0], posed[1], (labels[0], labels[1]))


def _classes(dataset: str) -> NDArray[np.int64]:
    """Returns the labels in ModelNet40 of the classes of a dataset, sorted."""
    names = open_named("modelnet40", "test", num_points=8).class_names
    ten = open_named("modelnet10", "test", num_points=8).class_names
    wanted = {"modelnet10": ten, "modelnet40": names, OTHERS: [n for n in names if n not in ten]}
    return np.array(sorted(names.index(name) for name in wanted[dataset]))


def _features(encoder: str, split: str, folder: Path) -> dict[str, Any]:
    file = folder / f"{encoder}-{split}.npz"
    if not file.exists():
        network = load(encoder).eval()
        shapes = _opened("modelnet40", split, 1024)
        posed = posed_features(network, shapes.points, _rotations(split), layout="BN3")
        assert shapes.labels is not None
        folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npz")
        np.savez(part, upright=posed.upright, turned=np.stack(posed.turned), labels=shapes.labels)
        part.replace(file)
    with np.load(file) as arrays:
        return dict(arrays)


def trained_sides(dataset: str, encoder: torch.nn.Module, num_points: int) -> Sides:
    """Returns features of both splits by an encoder that a run has trained."""
    shapes = [_opened(dataset, split, num_points) for split in SPLITS]
    posed = [
        posed_features(encoder, each.points, _rotations(split), layout="BN3")
        for each, split in zip(shapes, SPLITS, strict=True)
    ]
    labels = [each.labels.numpy() for each in shapes if each.labels is not None]
    return Sides(posed[0], posed[1], (labels[0], labels[1]))


def _opened(dataset: str, split: str, num_points: int) -> PointDataset:
    shapes = open_named(dataset, split, num_points=num_points)
    return shapes.with_points(UnitSphere()(shapes.points))


def _rotations(split: str) -> Rotations:
    return Rotations(ROUNDS, tilts=0, seed=SPLITS.index(split))
