"""Where the clouds of each layout begin, and how many points they have."""

import torch
from torch import Tensor
from torch._C import _functorch
from torch._subclasses import FakeTensor

FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint8,
    torch.uint16,
    torch.uint32,
    torch.uint64,
)


def readable(tensor: Tensor) -> bool:
    """Returns whether Python may look at the values: not in a graph, under vmap or on meta."""
    if torch.compiler.is_compiling() or tensor.is_meta or isinstance(tensor, FakeTensor):
        return False
    while _functorch.is_functorch_wrapped_tensor(tensor):
        if _functorch.is_batchedtensor(tensor):
            return False
        tensor = _functorch.get_unwrapped(tensor)
    return True


def check_points(points: Tensor, name: str) -> None:
    if not isinstance(points, Tensor):
        raise TypeError(
            f"{name} must be a torch tensor or a NumPy array, got {type(points).__name__}"
        )
    _check_layout(points, name)
    if points.dtype not in FLOATING:
        raise TypeError(
            f"{name} must be float16, bfloat16, float32 or float64, got {points.dtype}; "
            "convert with .float()"
        )
    if points.dim() not in (2, 3):
        raise ValueError(f"{name} must be (N, D) or (B, N, D), got {shape_of(points)}")
    if points.shape[-2] == 0 or points.shape[-1] == 0:
        raise ValueError(f"{name} is empty: {shape_of(points)}")


def _check_layout(tensor: Tensor, name: str) -> None:
    if tensor.is_nested:
        raise TypeError(
            f"{name} must not be nested; pack it with torch.cat(….unbind()) and give offsets"
        )
    if tensor.layout != torch.strided:
        raise TypeError(f"{name} must be dense, got {tensor.layout}; convert with .to_dense()")


def from_batch(points: Tensor, lengths: Tensor | None, name: str) -> tuple[Tensor, Tensor]:
    batch, count = points.shape[:2]
    starts = torch.arange(batch, device=points.device) * count
    if lengths is None:
        return starts, torch.full((batch,), count, dtype=torch.int64, device=points.device)
    lengths = _integers(lengths, f"lengths of {name}", batch).to(points.device)
    if readable(lengths):
        bad = ((lengths < 1) | (lengths > count)).nonzero().flatten()
        if bad.numel():
            raise ValueError(
                f"{name}: lengths[{int(bad[0])}]={int(lengths[bad[0]])} "
                f"is not between 1 and the padded {count}"
            )
    return starts, lengths


def from_offsets(points: Tensor, offsets: Tensor, name: str) -> tuple[Tensor, Tensor]:
    if points.dim() != 2:
        raise ValueError(f"{name}: offsets need packed (ΣN, D) points, got {shape_of(points)}")
    offsets = _integers(offsets, f"offsets of {name}", None).to(points.device)
    if readable(offsets):
        if int(offsets[0]) != 0 or int(offsets[-1]) != points.shape[0]:
            raise ValueError(
                f"{name}: offsets must go from 0 to the {points.shape[0]} points, "
                f"got {int(offsets[0])} to {int(offsets[-1])}"
            )
        bad = (offsets[1:] <= offsets[:-1]).nonzero().flatten()
        if bad.numel():
            at = int(bad[0])
            raise ValueError(
                f"{name}: offsets must increase (no cloud is empty), but offsets[{at + 1}]="
                f"{int(offsets[at + 1])} follows {int(offsets[at])}"
            )
    return offsets[:-1].contiguous(), offsets[1:] - offsets[:-1]


def offsets_of(batch: Tensor, points: Tensor, name: str) -> Tensor:
    """Returns where the clouds begin whose numbers ``batch`` holds, as PyG's vector does."""
    batch = _integers(batch, f"batch of {name}", points.shape[0])
    if not readable(batch):
        raise ValueError(f"batch of {name} cannot be read in a graph; give offsets")
    if bool((batch[1:] < batch[:-1]).any()):
        at = int((batch[1:] < batch[:-1]).nonzero()[0])
        raise ValueError(
            f"batch of {name} must be sorted, but {int(batch[at + 1])} follows {int(batch[at])} "
            f"at {at + 1}; sort the points by it first"
        )
    if int(batch[0]) < 0:
        raise ValueError(f"batch of {name} holds {int(batch[0])}, but clouds count from 0")
    counts = torch.bincount(batch)
    empty = (counts == 0).nonzero().flatten()
    if empty.numel():
        raise ValueError(f"batch of {name} has no point of cloud {int(empty[0])}")
    return torch.nn.functional.pad(counts.cumsum(0), (1, 0))


def _integers(values: Tensor, name: str, count: int | None) -> Tensor:
    """Returns ``values`` as int64; there must be ``count`` of them, or two where it is None."""
    if not isinstance(values, Tensor):
        raise TypeError(f"{name} must be a tensor of integers, got {type(values).__name__}")
    _check_layout(values, name)
    if values.dtype not in INTEGERS:
        raise TypeError(f"{name} must be integers, got {values.dtype}")
    if values.dim() != 1 or (count is not None and values.shape[0] != count):
        wanted = "(B + 1,)" if count is None else f"({count},)"
        raise ValueError(f"{name} must be {wanted}, got {shape_of(values)}")
    if count is None and values.shape[0] < 2:
        raise ValueError(f"{name} must be (B + 1,) with at least one cloud, got {shape_of(values)}")
    return values.long()


def shape_of(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
