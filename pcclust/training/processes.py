"""The processes of a run, one or several under ``torchrun``, and the device of this one."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, distributed, nn

from pcclust._extras import require
from pcclust.training.method import Batch

if TYPE_CHECKING:
    from accelerate import Accelerator


class Processes:
    """What several processes do together; with a single one, most of it is nothing.

    Args:
        precision: of the forward pass.

    Attributes:
        count: how many there are.
        index: of this one, from 0.
        main: whether this one writes, prints and measures.

    Raises:
        ImportError: accelerate is not installed.
    """

    def __init__(self, precision: Literal["float32", "bfloat16"]) -> None:
        self._accelerator = _create_accelerator(precision)
        self.count: int = self._accelerator.num_processes
        self.index: int = self._accelerator.process_index
        self.main: bool = self._accelerator.is_main_process

    def wrap(self, model: nn.Module, *, unused: bool = False) -> nn.Module:
        """Moves a model to the device, and returns what averages its gradients.

        Args:
            model: what is trained.
            unused: whether some parameters have no part in some losses.
        """
        from accelerate import DistributedDataParallelKwargs

        if unused:
            handler = DistributedDataParallelKwargs(find_unused_parameters=True)
            self._accelerator.ddp_handler = handler
        wrapped: nn.Module = self._accelerator.prepare(model)
        return wrapped

    def backward(self, loss: Tensor, model: nn.Module, *, last: bool = True) -> None:
        """Adds the gradient of a loss; the last one of a step brings the mean of all processes."""
        with nullcontext() if last else self._accelerator.no_sync(model):
            self._accelerator.backward(loss)

    def clip(self, model: nn.Module, max_norm: float) -> float:
        """Cuts the gradient to a norm, and returns the norm it had."""
        return float(self._accelerator.clip_grad_norm_(model.parameters(), max_norm))

    def share(self, batch: Batch, batch_size: int, part: int = 0, parts: int = 1) -> Batch:
        """Returns a part of this process's share of a batch, on its device."""
        from accelerate.utils import send_to_device, slice_tensors

        size = batch_size // (self.count * parts)
        first = (self.index * parts + part) * size
        return send_to_device(
            slice_tensors(batch, slice(first, first + size)), self._accelerator.device
        )

    def check_shares(self, batch_size: int, parts: int = 1) -> None:
        """Raises ValueError if a batch cannot be shared equally, in parts of at least two."""
        whose = f"{self.count} processes" if parts == 1 else f"{self.count} × {parts} parts"
        if batch_size % (self.count * parts):
            raise ValueError(
                f"a batch of {batch_size} shapes cannot be shared by {whose}: give "
                "a multiple as --batch-size"
            )
        if batch_size // (self.count * parts) < 2:
            raise ValueError(
                f"--batch-size {batch_size} leaves a single shape to each of {whose}, "
                f"and BatchNorm needs two: give at least {2 * self.count * parts}"
            )

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Returns the mean of each value over the processes."""
        if self.count == 1:
            return values
        means = self._sum(list(values.values())) / self.count
        return dict(zip(values, means.tolist(), strict=True))

    def anywhere(self, here: bool) -> bool:
        """Returns whether something holds in any process, so that all of them do the same."""
        return here if self.count == 1 else float(self._sum([float(here)])) > 0

    def main_first(self) -> AbstractContextManager[None]:
        """Lets the main process run a block before the others do."""
        block: AbstractContextManager[None] = self._accelerator.main_process_first()
        return block

    def follow_main(self, model: nn.Module) -> None:
        """Gives all processes the parameters and buffers that the main one has."""
        from accelerate.utils import broadcast

        if self.count > 1:
            with torch.no_grad():
                for value in model.state_dict().values():
                    value.copy_(broadcast(value))

    def wait(self) -> None:
        """Waits until all processes are here."""
        self._accelerator.wait_for_everyone()

    def _sum(self, values: list[float]) -> Tensor:
        here = torch.tensor(values, device=self._accelerator.device)
        summed: Tensor = self._accelerator.reduce(here, reduction="sum")
        return summed.cpu()


def gathered(rows: Tensor) -> Tensor:
    """Returns the rows ``(n, …)`` of all processes, one after the other; of one, its own."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def mean_of_processes(values: Tensor) -> Tensor:
    """Returns the mean of tensors of one shape over all processes; of one, its own."""
    return gathered(values[None]).mean(dim=0)


def _create_accelerator(precision: str) -> "Accelerator":
    require("accelerate", "training")
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    # It is one per interpreter, and would refuse a second run of another precision.
    AcceleratorState._reset_state()
    return Accelerator(
        mixed_precision="bf16" if precision == "bfloat16" else "no",
        # It joins processes without any GPU only if it is told that there is none.
        cpu=not torch.accelerator.is_available(),
    )
