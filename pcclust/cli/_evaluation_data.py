"""Labelled shapes of any dataset, with the classes in the order of the model's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pcclust.cli.console import errors
from pcclust.data.dataset import UpAxis
from pcclust.data.named import has_splits, open_named
from pcclust.data.splits import stratified
from pcclust.data.transforms import UnitSphere

# How far centres and radii may be from those of the unit sphere, for which points that were left
# out of a shape account.
TOLERANCE = 0.25


@dataclass(frozen=True)
class TestData:
    """Shapes to test a model with, or to train linear probes with.

    Attributes:
        title: the data, its split, how many shapes and points.
        points: ``(S, N, 3)`` float32.
        labels: ``(S,)`` int64.
        names: of the shapes.
        class_names: of the labels.
        up_axis: the axis against gravity, None if not known.
    """

    title: str
    points: Tensor
    labels: Tensor
    names: list[str]
    class_names: tuple[str, ...]
    up_axis: UpAxis | None

    def relabelled(self, class_names: Sequence[str]) -> "TestData":
        """Returns the shapes of these classes, labelled in their order.

        Raises:
            ValueError: a class has shapes and is not among them.
        """
        place = {name: label for label, name in enumerate(class_names)}
        strange = {self.class_names[label] for label in set(self.labels.tolist())} - set(place)
        if strange:
            known = ", ".join(map(str, class_names))
            raise ValueError(
                f"{self.title} has shapes of the class {min(strange)!r}, which is none of {known}; "
                "name data of these classes"
            )
        new = torch.tensor([place.get(name, -1) for name in self.class_names])
        return replace(self, labels=new[self.labels], class_names=tuple(class_names))


def open_labelled(
    data: str,
    split: str | None,
    *,
    default_split: str = "test",
    num_points: int | None,
    class_names: Sequence[str],
    normalize: bool,
    limit: int | None,
    seed: int,
) -> TestData:
    """Opens shapes with labels.

    Args:
        data: modelnet40 or modelnet10, else a path as for `pcclust.data.open_dataset`.
        split: as for `pcclust.data.open_dataset`.
        default_split: the split of data that has splits, where none is named.
        num_points: of every shape; as the data has them if None.
        class_names: those of the model, whose order the labels get; those of the data if empty.
        normalize: whether to centre and scale the shapes to the unit sphere.
        limit: the most shapes, of each class its share; all if None.
        seed: of the choice and of the sampling of meshes.

    Raises:
        FileNotFoundError: nothing is there, or no such split.
        ValueError: data without labels, or of classes that the model does not know.
    """
    split = split or (default_split if has_splits(data) else None)
    dataset = open_named(data, split, num_points=num_points, seed=seed)
    if dataset.labels is None:
        raise ValueError(f"{data} has no labels, by which answers could be right or wrong")
    labels = dataset.labels
    if limit is not None:
        chosen = stratified(labels, limit, seed)
        dataset, labels = dataset.subset(chosen), labels[chosen]
    points = UnitSphere()(dataset.points) if normalize else dataset.points
    if not normalize:
        _check_placed(points, data)
    where = f"{data}, {split}" if split else data
    title = f"{where}: {len(dataset):,} shapes of {dataset.num_points:,} points"
    shown = TestData(
        title,
        points,
        labels,
        dataset.names,
        dataset.class_names,
        dataset.up_axis,
    )
    return shown.relabelled(class_names) if class_names else shown


def _check_placed(points: Tensor, data: str) -> None:
    """Says so if shapes are not centred in the unit sphere, about whose centre they are turned."""
    radii = points.norm(dim=2).amax(dim=1)
    away = points.mean(dim=1).norm(dim=1) > TOLERANCE
    odd = int((away | ((radii - 1).abs() > TOLERANCE)).sum())
    if odd > len(points) // 20:
        errors.print(
            f"{data}: {odd:,} of {len(points):,} shapes are not centred in the unit sphere; "
            "--normalize puts them there, if the model was trained so"
        )
