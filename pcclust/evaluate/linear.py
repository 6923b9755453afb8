"""Linear evaluation of features, and other classifiers: the encoder is left as it is."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.cluster._inputs import equal_rows
from pcclust.data.dataset import PointDataset, UpAxis
from pcclust.data.transforms import rotation_about
from pcclust.evaluate.forward import Advance, BatchPredictor, Layout, Model, Predictor
from pcclust.evaluate.graph_features import GraphFeatures
from pcclust.evaluate.kernel_probe import KernelProbe
from pcclust.evaluate.labelled import Array, classes_of, labelled_shapes
from pcclust.evaluate.linear_probe import LinearProbe, check_classes
from pcclust.evaluate.linear_report import LinearReport, ProbeScores
from pcclust.evaluate.predictions import Predictions
from pcclust.evaluate.probes import PROTOCOLS, Probes
from pcclust.evaluate.rbf_classifier import RBFClassifier
from pcclust.evaluate.rotation_report import protocol
from pcclust.evaluate.rotations import Rotations
from pcclust.evaluate.weighted_knn import WeightedKNN
from pcclust.nn.feature_stack import FeatureStack


def linear(
    model: Model,
    points: Array,
    labels: Array | Sequence[int],
    *,
    train: tuple[Array, Array | Sequence[int]],
    rotations: Rotations | None = None,
    probes: Probes | None = None,
    up_axis: UpAxis = "z",
    class_names: Sequence[str] | None = None,
    layout: Layout = "auto",
    batch_size: int = 32,
    device: torch.device | str | None = None,
    about: Mapping[str, str] | None = None,
    advance: Advance = lambda clouds: None,
    trained: Callable[[], object] = lambda: None,
) -> LinearReport:
    """Trains simple classifiers on features of turned shapes and tests them on turned shapes.

    Under z/z, z/SO3 and SO3/SO3 (trained and tested on rotations about the up axis or in space)
    it tries a linear SVM with C chosen on the training shapes, a linear classifier on a kernel map
    of the features, in which the parts of a `FeatureStack` have an equal say, a linear SVM with
    C = 1, an RBF SVC, weighted nearest neighbours, and the linear SVM with few labels. Each shape
    is encoded once in each turn, for all of them; they are those of `pcclust.evaluate.rotation`.
    Nothing is chosen by the labels of test shapes.

    With ``probes.azimuths``, upright/upright is tested too: shapes as they stand in the data, as
    published linear probes have them. There ContrastNet's script turns all shapes, those to train
    with as well as those to test, by 2πm/12 about the up axis, trains an RBF SVC for every m and
    states the mean of the 12 accuracies; so does this, on standardised features. It encodes
    everything anew for every m, which is why it has to be asked for. Under the other protocols
    shapes have random azimuths, and the rounds of rotations are the mean over them: one RBF SVC is
    trained there.

    Args:
        model: a module or function from clouds to features ``(B, F)``.
        points: ``(S, N, 3)`` test shapes, upright, centred in the origin.
        labels: ``(S,)`` classes from 0.
        train: points ``(S', N, 3)`` and labels of the training shapes, each turned once per
            orientation.
        rotations: how test shapes are turned; by default 5 of each kind (Haar). It has the seed
            of folds and choices of labels, too; its tilts are not used.
        probes: how features are probed.
        up_axis: the axis against gravity of upright shapes.
        class_names: of the labels; "class 0" and so on if None.
        layout: of the clouds that the model takes, see `pcclust.evaluate.forward.Predictor`.
        batch_size: shapes the model is asked about at once, at most.
        device: where the model runs; if None where its parameters are.
        about: what the report says of the model and the data, by name.
        advance: called with the number of shapes of each batch; `Probes.clouds` says their sum.
        trained: called after each trained classifier; `Probes.classifiers` says how many there are.

    Returns:
        The accuracies of every probe under every protocol.

    Raises:
        TypeError: points that are no floating numbers, or a model that cannot be called.
        ValueError: sizes that do not agree, fewer than two shapes or a single class to train with,
            a class to test that has no training shapes, a model that fails or returns something
            else than finite ``(B, F)``, or the same features for all shapes.

    Example:
        >>> import torch
        >>> from pcclust.evaluate.linear import linear
        >>> size = torch.tensor([0.4, 1.0] * 20)
        >>> balls = torch.nn.functional.normalize(torch.randn(40, 64, 3), dim=2)
        >>> shapes, labels = size[:, None, None] * balls, (size > 0.5).long()
        >>> def radius(clouds):
        ...     return clouds.norm(dim=2).mean(dim=1, keepdim=True)
        >>> report = linear(radius, shapes[:10], labels[:10], train=(shapes[10:], labels[10:]))
        >>> report.score("z/SO3").mean, report.score("SO3/SO3", fraction=0.05).mean
        (1.0, 1.0)
    """
    rotations, probes = rotations or Rotations(), probes or Probes()
    shapes = labelled_shapes(points, labels, class_names=class_names)
    learned = labelled_shapes(*train, class_names=class_names)
    names = max(shapes.class_names, learned.class_names, key=len)
    _check(learned, shapes, names)
    predictor = Predictor(model, shapes.points, layout=layout, device=device)
    batched = BatchPredictor(predictor, batch_size, advance)
    encoder = _Encoder(batched, learned, shapes, rotations, up_axis)
    scorer = _Scorer(classes_of(shapes), len(names), len(learned), trained)
    settings: dict[str, int | float | str] = {
        "rotations": rotations.rounds,
        "sampler": rotations.sampler,
        "seed": rotations.seed,
        "up_axis": up_axis,
        **probes.told(),
        "points": shapes.num_points,
        "layout": predictor.layout,
        "own_change": predictor.own_change(shapes.points[:batch_size]),
        "features": predictor.num_outputs,
        "clouds": probes.clouds(len(shapes), len(learned), rotations.rounds),
    }
    blocks = model.widths if isinstance(model, FeatureStack) else None
    scores = tuple(_probed(encoder, scorer, probes, blocks, rotations.seed))
    counts = len(shapes), len(learned)
    return LinearReport(dict(about or {}), settings, *counts, scores)


class TrainedClassifier(Protocol):
    """Predicts classes from features."""

    def predict(self, features: Tensor, /) -> NDArray[np.int64]:
        """Returns the classes ``(S,)`` of features ``(S, F)``."""
        ...


# Features of test shapes by orientation, ``(S, F)`` in every round.
Rounds: TypeAlias = Mapping[str, Sequence[Tensor]]


def _probed(
    encoder: "_Encoder",
    scorer: "_Scorer",
    probes: Probes,
    blocks: Sequence[int] | None,
    seed: int,
) -> Iterator[ProbeScores]:
    """Tries every probe in every orientation; what is random is drawn from the seed."""
    learned = {name: encoder.learned_features(name) for name in probes.orientations}
    tested = {name: encoder.test_features(name) for name in probes.orientations}
    labels = torch.from_numpy(classes_of(encoder.learned))
    for name, seen in learned.items():
        rounds = {test: tested[test] for test in PROTOCOLS[name]}
        chosen = LinearProbe(seen, labels, seed=seed)
        yield from scorer.scores("linear_svm", name, [(chosen, rounds)])
        if probes.landmarks != 0:
            mapped = KernelProbe(seen, labels, landmarks=probes.landmarks, blocks=blocks, seed=seed)
            yield from scorer.scores("kernel_map", name, [(mapped, rounds)])
        fixed = LinearProbe(seen, labels, C=1, standardize=False)
        yield from scorer.scores("linear_svm_c1", name, [(fixed, rounds)])
        turned = encoder.azimuths(probes.azimuths) if name == "upright" else iter(())
        voters = ((RBFClassifier(x, labels), shown) for x, shown in chain([(seen, rounds)], turned))
        yield from scorer.scores("rbf_svc", name, voters)
        near = WeightedKNN(seen, labels, k=probes.neighbors, temperature=probes.temperature)
        yield from scorer.scores("weighted_knn", name, [(near, rounds)])
        drawn = probes.drawn(labels, seed)
        for fraction, few in drawn.items():
            trials = ((LinearProbe(seen[rows], labels[rows], seed=seed), rounds) for rows in few)
            yield from scorer.scores("linear_svm", name, trials, fraction, len(few[0]))
        if probes.components:
            graph = GraphFeatures(seen, components=probes.components)
            there = {test: [graph(shown) for shown in rounds[test]] for test in rounds}
            seen = graph(seen)
            for fraction, few in {1.0: [torch.arange(len(seen))], **drawn}.items():
                probed = (
                    LinearProbe(seen[rows], labels[rows], standardize=False, seed=seed)
                    for rows in few
                )
                trials = ((probe, there) for probe in probed)
                yield from scorer.scores("graph_svm", name, trials, fraction, len(few[0]))


@dataclass(frozen=True)
class _Encoder:
    """Encodes shapes in every orientation."""

    predictor: BatchPredictor
    learned: PointDataset
    shapes: PointDataset
    rotations: Rotations
    up_axis: UpAxis

    def learned_features(self, orientation: str) -> Tensor:
        """Returns the features ``(S, F)`` of the training shapes, each in one turn."""
        matrices = self._rotations(orientation, len(self.learned))[0]
        where = f"training shapes, {orientation}"
        features = self.predictor.outputs(self.learned, matrices, where)
        if equal_rows(features):
            raise ValueError(
                f"the features of all {len(features)} training shapes are equal ({orientation}): "
                "there is nothing to tell them apart by; has the encoder collapsed?"
            )
        return features

    def test_features(self, orientation: str) -> list[Tensor]:
        """Returns the features ``(S, F)`` of the test shapes in every round of rotations."""
        return [
            self.predictor.outputs(self.shapes, matrices, f"{orientation}, round {number}")
            for number, matrices in enumerate(self._rotations(orientation, len(self.shapes)))
        ]

    def azimuths(self, count: int) -> Iterator[tuple[Tensor, Rounds]]:
        """Yields features with all shapes turned by 2πm/count about the up axis, from m = 1."""
        for number in range(1, count):
            angle = torch.tensor([2 * math.pi * number / count], dtype=torch.float64)
            rotation = rotation_about(self.up_axis, angle)
            seen, tested = (
                self.predictor.outputs(
                    some, rotation.expand(len(some), -1, -1), f"azimuth {number}"
                )
                for some in (self.learned, self.shapes)
            )
            yield seen, {"upright": [tested]}

    def _rotations(self, orientation: str, count: int) -> Sequence[Tensor | None]:
        """Returns the rotations of so many shapes, ``(count, 3, 3)`` in every round."""
        if orientation == "upright":
            return [None]
        if orientation == "z":
            return list(self.rotations.about_up(count, self.up_axis))
        return list(self.rotations.arbitrary(count))


@dataclass(frozen=True)
class _Scorer:
    """Counts right predictions."""

    labels: NDArray[np.int64]
    num_classes: int
    learned: int
    trained: Callable[[], object]

    def scores(
        self,
        probe: str,
        name: str,
        trials: Iterable[tuple[TrainedClassifier, Rounds]],
        fraction: float = 1,
        known: int | None = None,
    ) -> list[ProbeScores]:
        """Tests classifiers on the test shapes in all rounds.

        Args:
            probe: what the classifiers are.
            name: the orientation they were trained in.
            trials: each classifier, and by orientation the features to ask it about.
            fraction: of the training labels that they had.
            known: how many labels that is; all of them if None.
        """
        found: dict[str, list[Predictions]] = {}
        Cs = []
        for classifier, rounds in trials:
            self.trained()
            Cs += [classifier.C] if isinstance(classifier, LinearProbe | KernelProbe) else []
            for test, features in rounds.items():
                predictions = np.stack([classifier.predict(some) for some in features])
                measured = Predictions(predictions, self.labels, self.num_classes)
                found.setdefault(test, []).append(measured)
        return [
            ProbeScores(
                probe,
                protocol(name, test),
                self.learned if known is None else known,
                np.stack([one.accuracies for one in repeats]),
                np.array([one.class_mean for one in repeats]),
                fraction,
                tuple(Cs),
            )
            for test, repeats in found.items()
        ]


def _check(learned: PointDataset, shapes: PointDataset, class_names: Sequence[str]) -> None:
    """Refuses shapes from which nothing can be learned, or not what is asked."""
    known = classes_of(learned)
    if len(known) < 2:
        raise ValueError("a single training shape teaches nothing: give at least two classes")
    if (known == known[0]).all():
        raise ValueError(
            f"all {len(known)} training shapes are of the class {class_names[known[0]]!r}: there "
            "is nothing to tell apart"
        )
    check_classes(known, classes_of(shapes), class_names)
