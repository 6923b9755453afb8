"""How well a model predicts shapes that are turned: z/z, z/SO3, SO3/SO3, and by angle of tilt."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.data.dataset import PointDataset, UpAxis
from pcclust.evaluate.failures import Failure, find_failures
from pcclust.evaluate.forward import Advance, BatchPredictor, Layout, Model, Predictor
from pcclust.evaluate.labelled import Array, classes_of, labelled_shapes
from pcclust.evaluate.linear_probe import LinearProbe, check_classes
from pcclust.evaluate.near_ties import find_near_ties
from pcclust.evaluate.rotation_report import RotationReport, Trained, protocol
from pcclust.evaluate.rotations import Rotations

Ints: TypeAlias = NDArray[np.int64]
# From outputs (B, C) to classes (B,).
Decide: TypeAlias = Callable[[Tensor], Ints]


def rotation(
    model: Model,
    points: Array,
    labels: Array | Sequence[int],
    *,
    trained: Trained | None = None,
    train: tuple[Array, Array | Sequence[int]] | None = None,
    rotations: Rotations | None = None,
    up_axis: UpAxis = "z",
    class_names: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    layout: Layout = "auto",
    batch_size: int = 32,
    device: torch.device | str | None = None,
    about: Mapping[str, str] | None = None,
    advance: Advance = lambda clouds: None,
) -> RotationReport:
    """Tests a classifier, or features, on shapes turned about the up axis and in space.

    A classifier was trained in one orientation, which its trainer knows: z/z and z/SO3, or SO3/z
    and SO3/SO3, are the protocols that follow. Features are tested through linear probes, one
    trained on rotations about the up axis and one on arbitrary ones, so that all protocols follow.
    Clouds are turned about the origin, which should be their centre, one copy at a time.

    Args:
        model: a module or function from clouds to ``(B, C)``: one number per class, the largest of
            which is the prediction, or with ``train`` a feature of any width.
        points: ``(S, N, 3)`` test shapes, upright.
        labels: ``(S,)`` classes from 0.
        trained: "upright" if the model was trained on shapes as they stand, "z" if rotated about
            the up axis, "SO3" if arbitrarily, None if that is not known.
        train: points and labels of shapes to train linear probes with; then ``model`` gives
            features. Each is turned once per orientation.
        rotations: how shapes are turned; by default 5 times of each kind (Haar), and 13 tilts of up
            to 500 shapes.
        up_axis: the axis against gravity of upright shapes.
        class_names: of the labels; "class 0" and so on if None.
        names: of the shapes; their numbers if None.
        layout: of the clouds that the model takes, see `pcclust.evaluate.forward.Predictor`.
        batch_size: shapes the model is asked about at once, at most.
        device: where the model runs; if None where its parameters are.
        about: what the report says of the model and the data, by name.
        advance: called with the number of shapes of each batch; `Rotations.cost` says their sum,
            to which each shape counts once more if the model knows of near ties.

    Returns:
        The predictions, and every measure that follows from them.

    Raises:
        TypeError: points that are no floating numbers, or a model that cannot be called.
        ValueError: labels, names or sizes that do not agree; a class to test without training
            shapes; or a model that fails or returns something else than finite ``(B, C)``.

    Example:
        >>> import torch
        >>> from pcclust.evaluate import Rotations, rotation
        >>> points = torch.randn(8, 64, 3) * torch.tensor([0.2, 0.2, 1])
        >>> points[4:] = points[4:].roll(1, dims=2)  # these lie
        >>> def stands(clouds):  # a classifier by extent along z
        ...     height = clouds[..., 2].std(dim=1)
        ...     return torch.stack([height - 0.5, 0.5 - height], dim=1)
        >>> labels = [0] * 4 + [1] * 4
        >>> report = rotation(stands, points, labels, trained="z", rotations=Rotations(tilts=2))
        >>> report.under("z/z").mean, report.under("z/SO3").mean < 1
        (1.0, True)
    """
    rotations = rotations or Rotations()
    shapes = labelled_shapes(points, labels, names, class_names)
    learned = None if train is None else labelled_shapes(*train, class_names=class_names)
    named = max((some.class_names for some in (shapes, learned) if some), key=len)
    width = len(named) if learned is None else None
    predictor = Predictor(model, shapes.points, layout=layout, num_outputs=width, device=device)
    batched = BatchPredictor(predictor, batch_size, advance)
    settings = _settings(predictor, shapes.points[:batch_size], rotations, up_axis)
    settings["clouds"] = rotations.cost(len(shapes), len(learned) if learned else 0)
    deciders: dict[str, Decide] = {trained or "": _largest}
    if learned is not None:
        check_classes(classes_of(learned), classes_of(shapes), named)
        probes = _probes(batched, learned, rotations, up_axis)
        settings |= {f"C of the {name} probe": probe.C for name, probe in probes.items()}
        deciders = {name: probe.predict for name, probe in probes.items()}
    return RotationReport(
        about=dict(about or {}),
        settings=settings,
        class_names=named,
        names=tuple(shapes.names),
        labels=classes_of(shapes),
        tilt_degrees=rotations.angles.numpy(),
        near_ties=find_near_ties(model, shapes, batch_size, predictor.device, advance),
        **_tested(batched, deciders, shapes, rotations, up_axis),
    )


def _settings(
    predictor: Predictor, sample: Tensor, rotations: Rotations, up_axis: UpAxis
) -> dict[str, int | float | str]:
    """Returns how shapes are tested, and how far outputs for the same sample are apart."""
    return {
        **rotations.told(),
        "up_axis": up_axis,
        "points": sample.shape[1],
        "layout": predictor.layout,
        "outputs": predictor.num_outputs,
        "own_change": predictor.own_change(sample),
    }


def _probes(
    predictor: BatchPredictor, learned: PointDataset, rotations: Rotations, up_axis: UpAxis
) -> dict[Trained, LinearProbe]:
    """Trains a linear probe for each training orientation, on one turn of every shape."""
    count = len(learned)
    matrices = {"z": rotations.about_up(count, up_axis)[0], "SO3": rotations.arbitrary(count)[0]}
    orientations: tuple[Trained, ...] = ("z", "SO3")
    return {
        name: LinearProbe(
            predictor.outputs(learned, matrices[name], f"training shapes, {name}"),
            torch.from_numpy(classes_of(learned)),
            seed=rotations.seed,
        )
        for name in orientations
    }


class _Found(TypedDict):
    """What the predictions give a `RotationReport`."""

    upright: dict[str, Ints]
    predictions: dict[str, Ints]
    changes: dict[str, NDArray[np.float64]]
    tilted: Ints
    tilt_predictions: dict[str, Ints]
    failures: tuple[Failure, ...]


def _tested(
    predictor: BatchPredictor,
    deciders: Mapping[str, Decide],
    shapes: PointDataset,
    rotations: Rotations,
    up_axis: UpAxis,
) -> _Found:
    """Asks about every shape in every orientation."""
    count = len(shapes)
    rounds = {"z": rotations.about_up(count, up_axis), "SO3": rotations.arbitrary(count)}
    upright = predictor.outputs(shapes, None, "upright shapes")
    standing = {name: decide(upright) for name, decide in deciders.items()}
    # In the order of the protocols: z/z, z/SO3, SO3/z, SO3/SO3.
    predictions = {
        protocol(name, test): np.empty(0, np.int64) for name in deciders for test in rounds
    }
    changes = {}
    for test, matrices in rounds.items():
        outputs = [
            predictor.outputs(shapes, round_, f"{test}, round {number}")
            for number, round_ in enumerate(matrices)
        ]
        changes[test] = np.stack([_relative_change(turned, upright) for turned in outputs])
        for name, decide in deciders.items():
            predictions[protocol(name, test)] = np.stack([decide(turned) for turned in outputs])
    first = next(iter(deciders))
    tilted = rotations.tilt_subset(torch.from_numpy(classes_of(shapes)))
    return {
        "upright": standing,
        "predictions": predictions,
        "changes": changes,
        "tilted": tilted.numpy(),
        "tilt_predictions": _tilted(
            predictor, deciders, shapes, rotations, up_axis, tilted, predictions
        ),
        "failures": find_failures(
            shapes, standing[first], predictions[protocol(first, "SO3")], rounds["SO3"], up_axis
        ),
    }


def _tilted(
    predictor: BatchPredictor,
    deciders: Mapping[str, Decide],
    shapes: PointDataset,
    rotations: Rotations,
    up_axis: UpAxis,
    rows: Tensor,
    predictions: Mapping[str, Ints],
) -> dict[str, Ints]:
    """Returns the predictions ``(T, S')`` by angle of tilt; 0° is the first round of z."""
    if not rotations.tilts:
        return {name: np.empty((0, 0), np.int64) for name in deciders}
    matrices = rotations.tilted(len(shapes), up_axis)[1:, rows]
    outputs = [
        predictor.outputs(shapes.subset(rows), round_, f"tilt {angle:.0f}°")
        for angle, round_ in zip(rotations.angles[1:].tolist(), matrices, strict=True)
    ]
    return {
        name: np.stack(
            [predictions[protocol(name, "z")][0, rows.numpy()], *(decide(o) for o in outputs)]
        )
        for name, decide in deciders.items()
    }


def _largest(outputs: Tensor) -> Ints:
    return outputs.argmax(dim=1).numpy()


def _relative_change(turned: Tensor, upright: Tensor) -> NDArray[np.float64]:
    """Returns ``(S,)`` distances of outputs from those of the upright shapes, in their norms."""
    size = upright.double().norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    changes: NDArray[np.float64] = ((turned.double() - upright).norm(dim=1) / size).numpy()
    return changes
