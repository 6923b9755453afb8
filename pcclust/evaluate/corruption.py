"""How well a model knows shapes that are damaged: the PointCloud-C benchmark."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.data.corruptions import KINDS, LEVELS, Kind, corruption_suite
from pcclust.data.dataset import PointDataset
from pcclust.evaluate.corruption_report import CorruptionReport
from pcclust.evaluate.forward import BatchPredictor, Layout, Model, Predictor
from pcclust.evaluate.labelled import Array, classes_of, labelled_shapes

# Damage is drawn for so many shapes at once, so that it does not depend on the batch size.
BLOCK = 64


def corruption(
    model: Model,
    points: Array,
    labels: Array | Sequence[int],
    *,
    class_names: Sequence[str] | None = None,
    layout: Layout = "auto",
    batch_size: int = 32,
    device: torch.device | str | None = None,
    seed: int = 0,
    about: Mapping[str, str] | None = None,
    advance: Callable[[int], object] = lambda clouds: None,
) -> CorruptionReport:
    """Tests a classifier on the seven corruptions of PointCloud-C at five levels each.

    Ren, Pan and Liu, "Benchmarking and Analyzing Point Cloud Classification under Corruptions",
    ICML 2022. The damage follows the published parameters, but is drawn anew: see
    `pcclust.data.corruptions`. Dropouts and additions change the number of points, so the model
    must take any.

    Args:
        model: a module or function from clouds to ``(B, C)``, one number per class.
        points: ``(S, N, 3)`` test shapes as the model knows them, centred, farthest point at radius
            1; the benchmark has ModelNet40 with N = 1,024.
        labels: ``(S,)`` classes from 0.
        class_names: of the labels; "class 0" and so on if None.
        layout: of the clouds that the model takes, see `pcclust.evaluate.forward.Predictor`.
        batch_size: shapes the model is asked about at once, at most.
        device: where the model runs; if None where its parameters are.
        seed: of the damage.
        about: what the report says of the model and the data, by name.
        advance: called with the number of clouds of each batch; there are 36 S in all.

    Returns:
        The accuracies, and CE, RCE, mCE and RmCE against the published DGCNN.

    Raises:
        TypeError: points that are no floating numbers, or a model that cannot be called.
        ValueError: labels or sizes that do not agree, too few points to drop, or a model that fails
            or returns something else than finite ``(B, C)``.

    Example:
        >>> import torch
        >>> from pcclust.data.transforms import UnitSphere
        >>> from pcclust.evaluate import corruption
        >>> points = UnitSphere()(torch.randn(4, 1024, 3) * torch.tensor([0.2, 0.2, 1]))
        >>> def blind(clouds):  # says class 0 whatever it is shown
        ...     return torch.tensor([[1.0, 0.0]]).repeat(len(clouds), 1)
        >>> report = corruption(blind, points, [0, 0, 0, 1])
        >>> report.clean, report.scores.rmce
        (0.75, 0.0)
    """
    shapes = labelled_shapes(points, labels, class_names=class_names)
    width, truth = len(shapes.class_names), classes_of(shapes)
    predictor = Predictor(model, shapes.points, layout=layout, num_outputs=width, device=device)
    batch_predictor = BatchPredictor(predictor, batch_size, advance)

    def right(clouds: Tensor, rows: NDArray[np.int64], what: str) -> int:
        """Counts right predictions for clouds of the shapes ``rows``."""
        predicted = batch_predictor.outputs(clouds, what=what).argmax(dim=1).numpy()
        return int((predicted == truth[rows]).sum())

    everything = np.arange(len(shapes))
    clean = right(shapes.points, everything, "clean shapes")
    hits = _damaged(shapes, seed, right)
    settings: dict[str, int | float | str] = {
        "seed": seed,
        "points": shapes.num_points,
        "layout": predictor.layout,
        "own_change": predictor.own_change(shapes.points[:batch_size]),
        "clouds": (1 + len(KINDS) * len(LEVELS)) * len(everything),
    }
    count = len(everything)
    accuracies = {kind: [hit / count for hit in levels] for kind, levels in hits.items()}
    return CorruptionReport(dict(about or {}), settings, count, clean / count, accuracies)


def _damaged(
    shapes: PointDataset, seed: int, right: Callable[[Tensor, NDArray[np.int64], str], int]
) -> dict[Kind, list[int]]:
    """Counts the right predictions for every kind and level of damage."""
    hits: dict[Kind, list[int]] = {kind: [0] * len(LEVELS) for kind in KINDS}
    for block, rows in enumerate(torch.split(torch.arange(len(shapes)), BLOCK)):
        key = np.random.SeedSequence([seed, block]).generate_state(1)
        for damaged in corruption_suite(shapes.batch(rows), int(key[0])):
            what = f"{damaged.kind}, level {damaged.level}"
            hits[damaged.kind][damaged.level] += right(damaged.points, rows.numpy(), what)
    return hits
