"""The processes that cluster together, and the few things that they say to each other."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed

Result = TypeVar("Result")
# On a crowded machine gloo may wait for a connection that was lost; then torchrun begins anew.
CONNECTING, WAITING = timedelta(minutes=5), timedelta(minutes=30)


class PeerError(RuntimeError):
    """Some process cannot go on; the message is what it says, which the first one tells."""


class Group(ABC):
    """Processes of which each knows how many there are and which it is.

    All that is exchanged are integers, whose sums are the same in any order, so that no bit of a
    result depends on how many processes there are, or on how their messages travel.

    Attributes:
        index: of this process, from 0.
        count: how many there are.
        device: where this process computes.
    """

    index: int = 0
    count: int = 1
    device: torch.device = torch.device("cpu")

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.index == 0

    @abstractmethod
    def sum(self, values: Tensor) -> Tensor:
        """Returns the sum of integers over all processes, elementwise."""

    @abstractmethod
    def maximum(self, values: Tensor) -> Tensor:
        """Returns the largest values over all processes, elementwise."""

    @abstractmethod
    def from_first(self, values: Tensor) -> Tensor:
        """Returns the values that the first process has; of one shape and dtype in all."""

    def joined(self, rows: Tensor) -> Tensor:
        """Returns the rows of all processes, one process after the other, with the same bits.

        Args:
            rows: ``(n, D)`` of a dtype of 4 or 8 bytes; n may differ.
        """
        counts = rows.new_zeros(self.count, dtype=torch.int64)
        counts[self.index] = len(rows)
        ends = self.sum(counts).cumsum(0).tolist()
        whole = torch.int32 if rows.element_size() == 4 else torch.int64
        # Bits as integers, and zeros elsewhere: a sum that is a concatenation.
        places = rows.new_zeros((ends[-1], *rows.shape[1:])).view(whole)
        places[ends[self.index] - len(rows) : ends[self.index]] = rows.contiguous().view(whole)
        return self.sum(places).view(rows.dtype)

    def texts(self, text: str) -> list[str]:
        """Returns a text of each process."""
        code = torch.tensor(list(text.encode()), dtype=torch.int64, device=self.device)
        size = torch.zeros(self.count, dtype=torch.int64, device=self.device)
        size[self.index] = len(code)
        joined = bytes(self.joined(code).tolist())
        texts, at = [], 0
        for length in self.sum(size).tolist():
            texts.append(joined[at : at + length].decode())
            at += length
        return texts

    def bytes_of_first(self, content: bytes) -> bytes:
        """Returns the bytes that the first process has; those of the others are not looked at."""
        size = torch.tensor([len(content)], device=self.device)
        size = self.from_first(size)
        code = torch.zeros(int(size), dtype=torch.uint8, device=self.device)
        if self.first and content:
            code = torch.frombuffer(bytearray(content), dtype=torch.uint8).to(self.device)
        return self.from_first(code).cpu().numpy().tobytes()

    def together(self, work: Callable[[], Result]) -> Result:
        """Does work that may fail in some processes, and fails in all of them if so.

        Raises:
            Exception: what the work raises in the first process.
            PeerError: it failed elsewhere, or this is another process.
        """
        try:
            result, failure = work(), None
        except Exception as error:
            result, failure = None, error
        said = "" if failure is None else str(failure) or type(failure).__name__
        heard = [text for text in self.texts(said) if text]
        if failure is not None and self.first:
            raise failure
        if heard:
            raise PeerError(heard[0]) from failure
        return result  # type: ignore[return-value]

    def check_same(self, what: str, value: str, remedy: str) -> None:
        """Raises ValueError, or PeerError but in the first, unless a value is the same in all.

        Args:
            what: in words, as in "runs pcclust".
            value: of this process.
            remedy: what to do about it.
        """
        values = self.texts(value)
        other = next((i for i, text in enumerate(values) if text != values[0]), 0)
        if other:
            said = f"process {other} {what} {values[other]}, process 0 {values[0]}: {remedy}"
            raise ValueError(said) if self.first else PeerError(said)


class Alone(Group):
    """A single process."""

    def __init__(self, device: torch.device | None = None) -> None:
        self.device = device or Group.device

    def sum(self, values: Tensor) -> Tensor:
        """Returns them."""
        return values

    def maximum(self, values: Tensor) -> Tensor:
        """Returns them."""
        return values

    def from_first(self, values: Tensor) -> Tensor:
        """Returns them."""
        return values


class TorchGroup(Group):
    """The processes of ``torchrun``, by gloo, or by NCCL where each has a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.index, self.count = distributed.get_rank(), distributed.get_world_size()
        self.device = device

    def sum(self, values: Tensor) -> Tensor:
        """Returns the sum of integers over all processes, elementwise."""
        values = values.contiguous()
        distributed.all_reduce(values)
        return values

    def maximum(self, values: Tensor) -> Tensor:
        """Returns the largest values over all processes, elementwise."""
        values = values.contiguous()
        distributed.all_reduce(values, distributed.ReduceOp.MAX)
        return values

    def from_first(self, values: Tensor) -> Tensor:
        """Returns the values that the first process has."""
        values = values.contiguous()
        distributed.broadcast(values, 0)
        return values


def under_torchrun() -> bool:
    """Returns whether ``torchrun`` started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ or int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined_group(device: str | None = None) -> Iterator[Group]:
    """Joins the other processes of ``torchrun``, or is alone where it did not start this one.

    Args:
        device: of this process; by default its GPU where each process of the machine has one,
            otherwise the CPU.

    Raises:
        RuntimeError: this torch has no means for processes to speak with each other.
    """
    if not under_torchrun():
        yield Alone(torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")))
        return
    place = torch.device(device or _own_device())
    backend = "nccl" if place.type == "cuda" else "gloo"
    if not (distributed.is_available() and distributed.is_backend_available(backend)):
        raise RuntimeError(
            f"this torch ({torch.__version__}) is built without {backend}, by which processes on "
            f"{place.type} speak with each other: install one that has it, or start a single "
            "process without torchrun"
        )
    if place.type == "cuda":
        torch.cuda.set_device(place)
    distributed.init_process_group(backend, timeout=CONNECTING)
    # One may wait long for another that reads slowly.
    distributed.distributed_c10d._set_pg_timeout(WAITING)
    try:
        yield TorchGroup(place)
    finally:
        distributed.destroy_process_group()


def _own_device() -> str:
    local, here = (int(os.environ[name]) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    return (
        f"cuda:{local}"
        if torch.cuda.is_available() and torch.cuda.device_count() >= here
        else "cpu"
    )
