"""What a method of training brings along; the loop, the run folder and the rest are shared."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, TypeAlias

from torch import Tensor, nn

from pcclust.data import PointDataset
from pcclust.data.held import part_of_batch
from pcclust.training.config import TrainingConfig

# Told what is being prepared, how much of it is done, and how much there is.
Progress: TypeAlias = Callable[[str, int, int], None]
# A tuple, named tuple or dict of tensors whose first dimension is the shapes; each method has its
# own, and the loop only shares it out among processes.
Batch: TypeAlias = Any


class Method(ABC):
    """A model, the batches it is trained on, the loss of a batch, and what is measured.

    A new method is one file in `pcclust.methods`: its settings (a subclass of `TrainingConfig`)
    and a subclass of this, or of `pcclust.methods.base.DeepClustering`, which has most of it. What
    changes during training and must survive an interruption is a parameter or a buffer of
    ``model``; what is random follows from the seed, the epoch and the step alone. Then a resumed
    run has the bits of an uninterrupted one, in `fit`, for any method.

    Attributes:
        config: the settings.
        model: what is trained, and kept in checkpoints.
        steps_per_epoch: how many batches an epoch has.
        data_sha256: of the training data, by which a resumed run knows that they are the same.
        part: which of how many equal parts of each batch this process learns from; `fit` says it.
    """

    config: TrainingConfig
    model: nn.Module
    steps_per_epoch: int
    data_sha256: str
    part: tuple[int, int] = (0, 1)

    # Whether some parameters have no part in some losses, e.g. heads that alternate.
    leaves_parameters_unused: ClassVar[bool] = False

    @abstractmethod
    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Yields the batches of an epoch from number ``start`` on.

        With several processes each one yields the same batches, and gets its part of each; what
        is in the places of the others is of no use. So what is read by `read` is read by one.
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

    def read(self, shapes: PointDataset, rows: Tensor) -> Tensor:
        """Returns the points of a batch; of several processes each reads its part alone.

        Args:
            shapes: of the training.
            rows: ``(B,)`` those of the batch, or ``(B · n,)``, n in a row for each of it.

        Returns:
            ``(B, P, 3)``, see `part_of_batch`.
        """
        return part_of_batch(shapes, rows, *self.part)

    def describe(self) -> list[str]:
        """Returns what to say before the run begins, a line each."""
        return []

    def prepare(self, progress: Progress) -> None:  # noqa: B027 - most have nothing to prepare
        """Does what is done once for all epochs; results belong in a cache on disk."""

    def param_groups(self) -> list[dict[str, Any]]:
        """Returns the groups of the optimiser: by default matrices, which decay, and the rest.

        A group may have a ``lr_scale``, by which the learning rate of each step is multiplied.
        """
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        return [
            {
                "params": [p for p in parameters if p.dim() >= 2],
                "weight_decay": self.config.weight_decay,
            },
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ]

    def begin_epoch(self, epoch: int, progress: Progress) -> Iterable[nn.Parameter]:
        """Does what is due before the first batch of an epoch, e.g. finds the clusters to learn.

        The model is in evaluation mode, there are no gradients, and torch's own generator is seeded
        by seed and epoch. What is learned here goes into buffers of ``model`` or, in place, into
        its parameters, so that a checkpoint suffices to go on within the epoch, where this is not
        called again. All processes call it, and then take over what the first one has.

        Args:
            epoch: from 0.
            progress: is told how far it is.

        Returns:
            Parameters that were made anew: what the optimiser knows of them is dropped.
        """
        return ()

    def after_step(self) -> None:  # noqa: B027 - most have nothing to do
        """Does what is due after each step, without gradients, e.g. moves averages of weights."""

    def converged(self) -> bool:
        """Returns whether to stop after this epoch, judged by buffers of ``model``."""
        return False

    def evaluate(self) -> dict[str, float]:
        """Returns what is measured after each epoch, never on test data; without gradients.

        Only the first process is asked. What it writes into buffers of ``model`` the others get
        before the next epoch.
        """
        return {}

    def details(self) -> dict[str, Any]:
        """Returns what the log alone tells of an epoch, as JSON can hold it."""
        return {}

    def finish(self) -> dict[str, float]:
        """Returns what is measured once, when the last epoch is complete."""
        return {}
