"""Random views of all shapes, encoded once, for methods that learn on frozen features."""

from pathlib import Path

import torch

from pcclust.data import PointDataset
from pcclust.data.seeding import seeded_generator
from pcclust.methods.features import EncodeOnce
from pcclust.methods.views import DataConfig, views

AT_ONCE = 64  # shapes that are augmented together, by a stream of their own


class EncodeViews(EncodeOnce):
    """A stage that encodes several random views of each shape, one view of all after another.

    Args:
        config: says how views are made, and their seed.
        shapes: N of them.
        weights: of the encoder, as `pcclust.load` takes them.
        count: views of each.
    """

    def __init__(
        self, config: DataConfig, shapes: PointDataset, weights: str | Path, count: int
    ) -> None:
        augment = views(config, shapes.up_axis, config.dataset)
        seen = []
        for view in range(count):
            for number, rows in enumerate(torch.split(torch.arange(len(shapes)), AT_ONCE)):
                generator = seeded_generator(config.seed, view, number)
                seen.append(augment(shapes.batch(rows), generator))
        names = [f"{name} view {view}" for view in range(count) for name in shapes.names]
        super().__init__(PointDataset(torch.cat(seen), None, names), weights)
