"""What a method of training brings along; the loop, the run folder and the rest are shared."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from torch import Tensor, nn

from pcclust.training.config import TrainingConfig

# Told what is being prepared, how much of it is done, and how much there is.
Progress: TypeAlias = Callable[[str, int, int], None]
# A tuple, named tuple or dict of tensors whose first dimension is the shapes; each method has its
# own, and the loop only shares it out among processes.
Batch: TypeAlias = Any


class Method(ABC):
    """A model, the batches it is trained on, the loss of a batch, and what is measured.

    A new method is one file in `pcclust.methods`: its settings (a subclass of `TrainingConfig`)
    and a subclass of this. What changes during training and must survive an interruption is a
    parameter or a buffer of ``model``; what is random follows from the seed, the epoch and the
    step alone. Then a resumed run has the bits of an uninterrupted one, in `fit`, for any method.

    Attributes:
        config: the settings.
        model: what is trained, and kept in checkpoints.
        steps_per_epoch: how many batches an epoch has.
        data_sha256: of the training data, by which a resumed run knows that they are the same.
    """

    config: TrainingConfig
    model: nn.Module
    steps_per_epoch: int
    data_sha256: str

    @abstractmethod
    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Yields the batches of an epoch from number ``start`` on.

        With several processes each one yields the same batches, and gets its share of each.
        """

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Returns scalars of a batch: ``loss``, which is minimised, and others for the log.

        Args:
            model: what to call: ``self.model``, perhaps wrapped for several processes.
            batch: this process's share of a batch.
        """

    @abstractmethod
    def saved(self) -> tuple[nn.Module, dict[str, Any]]:
        """Returns the model whose weights are saved, and its card; see `save_weights`."""

    def describe(self) -> list[str]:
        """Returns what to say before the run begins, a line each."""
        return []

    def prepare(self, progress: Progress) -> None:  # noqa: B027 - most have nothing to prepare
        """Does what is done once for all epochs; results belong in a cache on disk."""

    def evaluate(self) -> dict[str, float]:
        """Returns what is measured after each epoch, never on test data; without gradients."""
        return {}

    def finish(self) -> dict[str, float]:
        """Returns what is measured once, when the last epoch is complete."""
        return {}
