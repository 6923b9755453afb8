"""ContrastNet: features of shapes, learned by telling which parts are of one object."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcclust.data import PointDataset, PointLoader
from pcclust.data.fingerprint import data_sha256
from pcclust.data.part_pairs import part_pairs
from pcclust.data.parts import Normals, cut_parts, draw_parts, random_planes
from pcclust.data.seeding import seeded_generator
from pcclust.methods._backbone import (
    check_backbone,
    check_cloud_size,
    count_parameters,
    create_seeded,
    fit_batch,
    run_length,
    seeded_weights,
)
from pcclust.methods.unlabelled import card_of_encoder, open_unlabelled
from pcclust.methods.views import DataConfig, views
from pcclust.nn import PairClassifier
from pcclust.nn._lengths import takes_lengths
from pcclust.training import Method

SAME_SHARE = 1 / 3  # of the loss, that pairs of one object have; as in pairs of the official code
SHAPES_AT_ONCE = 512
PLANES, PARTS = 0, 1  # the uses of the seed


@dataclass(frozen=True, kw_only=True)
class ContrastNetConfig(DataConfig):
    """Which parts are contrasted, and by which network.

    Attributes:
        num_planes: planes drawn for each shape, once; parts are their sides.
        normals: of the planes: "isotropic", or "cube" as in the official code.
        min_fraction: the least fraction of a shape's points on either side of a plane.
        part_points: points drawn of each part, with replacement; by default it has all the points
            of its side, as dense as the whole shape.
        parts: parts that a shape contributes to a batch.
        group: shapes among whose parts all pairs are made; the official code has 2.
        shared: whether both parts of a pair have one encoder, or each side its own.
    """

    num_planes: int = 15
    normals: Normals = "isotropic"
    min_fraction: float = 0.25
    part_points: int | None = None
    parts: int = 2
    group: int = 2
    shared: bool = True

    method: ClassVar[str] = "contrastnet"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_planes", "part_points"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value} must be positive")
        if self.parts < 2 or self.group < 2:
            raise ValueError(
                f"parts={self.parts} and group={self.group} must be at least 2: without two parts "
                "of a shape and two shapes there are no pairs of both kinds"
            )
        if self.batch_size % self.group:
            raise ValueError(
                f"batch_size={self.batch_size} must be a multiple of group={self.group}, the "
                "shapes whose parts are paired"
            )
        if self.crop < 1 or self.view_points is not None:
            raise ValueError(
                f"crop={self.crop} and view_points={self.view_points} are for whole shapes: parts "
                "have --min-fraction and --part-points"
            )
        if not 0 < self.min_fraction <= 0.5:
            raise ValueError(f"min_fraction={self.min_fraction} must be above 0 and at most 0.5")

    @property
    def least_points(self) -> int:
        """The fewest points on a side of a plane."""
        return max(int(self.min_fraction * self.num_points), 1)


class PartBatch(NamedTuple):
    """Parts of several shapes, ready to be trained on.

    Attributes:
        parts: ``(B, P, M, 3)`` float32, P augmented parts of each shape.
        lengths: ``(B, P)`` int64, the points of each part; the rest is padding.
    """

    parts: Tensor
    lengths: Tensor


class ContrastNet(Method):
    """Trains an encoder by a binary question: are these two parts of one object?

    Shapes are cut by random planes. The parts of neighbouring shapes of a batch are paired, each
    part is encoded once and used in all its pairs, and a `PairClassifier` answers, with smoothed
    cross-entropy. The pairs of one object make a third of the loss, as they are a third of the
    official code's pairs, whatever ``group`` is. No label is read. The encoder of the last epoch is
    the result.

    Ward trees of parts, where the encoder is `ClusterNet`, are computed as the parts come: that is
    1 % of a step, and the whole shape's tree, cut by the plane, would leave too few clusters.

    Args:
        config: the settings; see `contrastnet_presets` for those of the paper and for ours.
        shapes: what `open_unlabelled` returns; opened as the settings say if None.

    Raises:
        FileNotFoundError: the data are not there.
        ValueError: settings that do not exist or do not fit the data, too few shapes, shapes that
            are all the same, or parts too small for the encoder.

    Source: Zhang and Zhu, "Unsupervised Feature Learning for Point Cloud Understanding by
    Contrasting and Clustering Using Graph Convolutional Neural Networks" (2019).
    """

    config: ContrastNetConfig
    model: PairClassifier

    def __init__(self, config: ContrastNetConfig, shapes: PointDataset | None = None) -> None:
        self.config = config
        check_backbone(config.model, config.model_kwargs)
        if shapes is None:
            shapes = open_unlabelled(config.dataset, config.num_points, config.up_axis)
        self.augment = views(config, shapes.up_axis, config.dataset)
        self.model = _create_network(config)
        _check_takes_parts(self.model.encoder, config)
        check_cloud_size(self.model.encoder, config.part_points or config.least_points, "parts")
        self.planes, cuttable = cutting_planes(shapes, config)
        self.uncut = [shapes.names[i] for i in (~cuttable).nonzero().flatten().tolist()]
        self.shapes = shapes.subset(cuttable.nonzero().flatten()) if self.uncut else shapes
        self._check_counts(len(shapes))
        self.config, self.notes = fit_batch(config, len(self.shapes), config.group)
        self.loader = PointLoader(
            self.shapes,
            self.config.batch_size,
            seed=config.seed,
            drop_last=True,
            workers=config.workers,
        )
        self.steps_per_epoch = len(self.loader)
        self.data_sha256 = data_sha256(shapes)

    def describe(self) -> list[str]:
        """Returns what is trained on what."""
        config = self.config
        pairs = len(part_pairs(config.batch_size, config.parts, group=config.group).same)
        size = config.part_points or f"{config.least_points:,} or more"
        branches = "one for both parts" if config.shared else "one for each part of a pair"
        lines = [
            f"ContrastNet on {config.dataset}: {len(self.shapes):,} shapes of "
            f"{self.shapes.num_points:,} points, {config.parts} parts of {size} points each; "
            f"{run_length(self.config, self.steps_per_epoch)} shapes "
            f"and {pairs:,} pairs; chance is an accuracy of 50 %",
            f"encoder {config.model}, {branches}: {count_parameters(self.model):,} parameters with "
            f"the classifier of pairs; views turned {config.rotation}; {config.optimizer} at "
            f"{config.learning_rate:g}",
        ]
        if self.uncut:
            lines.append(
                f"warning: {len(self.uncut):,} shapes, first {self.uncut[0]}, have no plane with "
                f"{config.least_points:,} points on both sides; they are left out of ContrastNet "
                "(a smaller --min-fraction may cut them)"
            )
        return lines + self.notes

    def batches(self, epoch: int, start: int) -> Iterator[PartBatch]:
        """Yields augmented parts of shapes."""
        config = self.config
        if config.part_points is not None:  # else noise is drawn for as many points as the longest
            self.loader.part = self.part
        for number, batch in enumerate(self.loader.epoch(epoch, start), start):
            generator = seeded_generator(config.seed, epoch, number, PARTS)
            planes = self.planes[batch.indices]
            if config.part_points is None:
                cut = cut_parts(batch.points, planes, config.parts, generator=generator)
                parts, lengths = cut.points, cut.lengths
            else:
                parts = draw_parts(
                    batch.points, planes, config.parts, config.part_points, generator=generator
                ).points
                lengths = torch.full(parts.shape[:2], config.part_points)
            yield PartBatch(self.augment(parts.flatten(0, 1), generator).view_as(parts), lengths)

    def loss(self, model: nn.Module, batch: PartBatch) -> dict[str, Tensor]:
        """Returns the cross-entropy with smoothed labels, and the accuracy.

        The accuracy is the mean of that of pairs of one object and that of the others: 50 % is
        chance.
        """
        config = self.config
        pairs = part_pairs(len(batch.parts), config.parts, group=config.group)
        left, right, same = (indices.to(batch.parts.device) for indices in pairs)
        lengths = batch.lengths.flatten() if config.part_points is None else None
        logits = model(batch.parts.flatten(0, 1), left, right, lengths=lengths).float()
        losses = F.cross_entropy(
            logits, same, label_smoothing=config.label_smoothing, reduction="none"
        )
        hits = (logits.argmax(dim=1) == same).float()
        return {
            "loss": _balanced(losses, same, SAME_SHARE),
            "accuracy": _balanced(hits, same, 0.5),
        }

    def saved(self) -> tuple[nn.Module, dict[str, Any]]:
        """Returns the encoder (of left parts, where there are two) and its card."""
        config = self.config
        data = {"dataset": config.dataset, "shapes": len(self.shapes), "sha256": self.data_sha256}
        encoder = self.model.encoder
        card = card_of_encoder(config, config.num_points, data)
        more = {"parameters": count_parameters(encoder), "config": dataclasses.asdict(config)}
        return encoder, card | more

    def _check_counts(self, total: int) -> None:
        count, config = len(self.shapes), self.config
        if not count:
            raise ValueError(
                f"none of {total:,} shapes has a plane with {config.least_points:,} points on both "
                "sides; give a smaller --min-fraction"
            )


def cutting_planes(shapes: PointDataset, config: ContrastNetConfig) -> tuple[Tensor, Tensor]:
    """Draws planes for every shape that can be cut.

    Args:
        shapes: N of them.
        config: how many planes, of which kind, and of which seed.

    Returns:
        ``(M, num_planes, 3)`` normals for the M shapes that can be cut, and ``(N,)`` bool, which
        these are.
    """
    drawn, cuttable = [], torch.ones(len(shapes), dtype=torch.bool)
    for rows in torch.split(torch.arange(len(shapes)), SHAPES_AT_ONCE):
        points = shapes.batch(rows)
        try:
            drawn.append(_draw_planes(points, config, int(rows[0])))
        except ValueError:  # one that cannot be cut; find out which
            for at, row in enumerate(rows.tolist()):
                try:
                    drawn.append(_draw_planes(points[at : at + 1], config, row))
                except ValueError:
                    cuttable[row] = False
    return torch.cat(drawn) if drawn else torch.empty(0, config.num_planes, 3), cuttable


def _draw_planes(points: Tensor, config: ContrastNetConfig, first: int) -> Tensor:
    return random_planes(
        points,
        config.num_planes,
        min_points=config.least_points,
        normals=config.normals,
        generator=seeded_generator(config.seed, first, PLANES),
    )


def _check_takes_parts(encoder: nn.Module, config: ContrastNetConfig) -> None:
    """Refuses an encoder that cannot tell the points of a part from padding."""
    if config.part_points is None and not takes_lengths(encoder):
        raise ValueError(
            f"{config.model} takes no lengths, and parts differ in size: give its forward a "
            "lengths argument, or --part-points, the points of every part"
        )


def _create_network(config: ContrastNetConfig) -> PairClassifier:
    encoder = create_seeded(config.model, config.model_kwargs, config.seed)
    other = None
    if not config.shared:
        other = create_seeded(config.model, config.model_kwargs, config.seed + 1)
    with seeded_weights(config.seed):
        return PairClassifier(encoder, other)


def _balanced(values: Tensor, same: Tensor, fraction: float) -> Tensor:
    """Returns the mean of pairs of one object and that of the others, so weighted."""
    weight = same.to(values.dtype)
    of_same = (values * weight).sum() / weight.sum()
    of_others = (values * (1 - weight)).sum() / (1 - weight).sum()
    return fraction * of_same + (1 - fraction) * of_others
