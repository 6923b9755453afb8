"""Asking any model about batches of clouds, and checking what it returns."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from pcclust.data.dataset import PointDataset
from pcclust.data.transforms import check_batch, turn

# Anything that takes a batch of clouds: a module, or a function of a tensor.
Model: TypeAlias = Callable[[Tensor], Any]
InputLayout = Literal["BN3", "B3N"]
INPUT_LAYOUTS: tuple[InputLayout, ...] = get_args(InputLayout)
Layout = Literal["auto", "BN3", "B3N"]
Precision = Literal["float32", "bfloat16"]
# What models that return a mapping or a dataclass call their main output.
OUTPUT_NAMES = (
    "logits", "pred", "prediction", "predictions", "cls", "scores", "features", "feature",
    "feat", "embedding", "embeddings", "pooler_output", "output", "out", "x",
)  # fmt: skip
OWN_CHANGE = 1e-4  # below, two answers to one question differ by rounding alone
OWN_CHANGE_SHAPES = 32  # about which a model is asked twice
# Told of the number of clouds of each batch.
Advance: TypeAlias = Callable[[int], object]


class Predictor:
    """Asks a model, in the layout it takes, and returns its checked outputs.

    Outputs are ``(B, C)`` finite floating numbers, or a tuple that begins with them, as public
    PointNets return it, or a mapping or dataclass that has nothing else or names them as one of
    `OUTPUT_NAMES`, the first that there is. A module is asked in evaluation mode and without
    gradients, and left in the mode it was in.

    Args:
        model: a ``torch.nn.Module`` or a function.
        sample: ``(B, N, 3)`` clouds such as it will be asked about, at least one; the first two
            are tried.
        layout: "BN3" if the model takes ``(B, N, 3)``, "B3N" if ``(B, 3, N)``; "auto" tries the
            two in this order and keeps the first that works.
        num_outputs: C that is demanded; any if None.
        device: where the model runs; if None where its parameters are.
        precision: of what torch's autocast covers.

    Attributes:
        layout: the layout that works.
        num_outputs: C.

    Raises:
        TypeError: ``model`` cannot be called.
        ValueError: it works in no layout; the message has the reason of each.

    Example:
        >>> import torch
        >>> mean = Predictor(lambda clouds: clouds.mean(dim=2), torch.rand(4, 64, 3), num_outputs=3)
        >>> mean.layout, mean(torch.rand(7, 64, 3)).shape
        ('B3N', torch.Size([7, 3]))
    """

    def __init__(
        self,
        model: Model,
        sample: Tensor,
        *,
        layout: Layout = "auto",
        num_outputs: int | None = None,
        device: torch.device | str | None = None,
        precision: Precision = "float32",
    ) -> None:
        if not callable(model):
            raise TypeError(f"the model must be a module or a function, got {type(model).__name__}")
        if layout not in ("auto", *INPUT_LAYOUTS):
            raise ValueError(f"layout={layout!r} is none of 'auto', {INPUT_LAYOUTS}")
        check_batch(sample)
        self.model = model
        self.device = _device(model, device)
        self.precision = precision
        if isinstance(model, torch.nn.Module):
            model.to(self.device)
        self._demanded = num_outputs
        candidates = INPUT_LAYOUTS if layout == "auto" else (layout,)
        self.layout, self.num_outputs = self._first_working(sample[:2], candidates)

    def __call__(self, points: Tensor, what: str = "") -> Tensor:
        """Returns the outputs ``(B, C)`` float32 on the CPU for clouds ``(B, N, 3)``.

        Args:
            points: the batch.
            what: where it comes from, for messages.

        Raises:
            ValueError: the model fails, or returns something else than finite ``(B, C)``.
        """
        return self._ask(points, self.layout, what)

    def own_change(self, points: Tensor) -> float:
        """Returns how far outputs for the same clouds are apart when the model is asked again.

        Args:
            points: ``(B, N, 3)``, of which the first 32 are shown.

        Returns:
            The median over the clouds, in units of the outputs' length; 0 where they are the same.
        """
        asked = points[:OWN_CHANGE_SHAPES]
        first, again = (self(asked).double() for _ in range(2))
        moved = (again - first).norm(dim=1) / first.norm(dim=1).clamp(min=1e-300)
        return float(moved.median())

    def _first_working(
        self, sample: Tensor, candidates: tuple[InputLayout, ...]
    ) -> tuple[InputLayout, int]:
        reasons = []
        for layout in candidates:
            try:
                return layout, self._ask(sample, layout).shape[1]
            except ValueError as error:
                reasons.append(str(error))
        hint = "" if len(candidates) > 1 else "; the other layout was not tried"
        raise ValueError("; ".join(reasons) + hint)

    @torch.no_grad()
    def _ask(self, points: Tensor, layout: InputLayout, what: str = "") -> Tensor:
        given = points.to(self.device)
        given = given if layout == "BN3" else given.mT.contiguous()
        asked = f"({', '.join(map(str, given.shape))}){f' of {what}' if what else ''}"
        halved = self.precision == "bfloat16"
        cast = torch.autocast(self.device.type, torch.bfloat16, enabled=halved)
        with _evaluating(self.model), cast:
            try:
                output = self.model(given)
            except (KeyboardInterrupt, MemoryError):
                raise
            except (Exception, SystemExit) as error:
                raise ValueError(f"the model fails on a batch {asked}: {_place(error)}") from error
        return self._checked(output, asked, len(points))

    def _checked(self, output: object, asked: str, batch: int) -> Tensor:
        """Returns the output as a tensor, or says what is wrong with it and what to do."""
        output = _main_output(output)
        if isinstance(output, np.ndarray):
            output = torch.from_numpy(output)
        if not isinstance(output, Tensor) or not output.is_floating_point():
            kind = output.dtype if isinstance(output, Tensor) else type(output).__name__
            raise ValueError(
                f"the model returned {kind} for a batch {asked}; it must return a tensor of "
                "floating numbers, or a tuple that begins with it, or name it "
                f"{', '.join(OUTPUT_NAMES)}"
            )
        width = self._demanded or "C"
        expected = output.dim() == 2 and output.shape[0] == batch and output.shape[1] > 0
        if not expected or width not in ("C", output.shape[1]):
            raise ValueError(
                f"the model returned {tuple(output.shape)} for a batch {asked}; it must return "
                f"({batch}, {width})" + self._advice(output, batch, expected)
            )
        if not output.isfinite().all():
            row, column = (~output.isfinite()).nonzero()[0].tolist()
            raise ValueError(
                f"the model returned {output[row, column].item()} in row {row} for a batch "
                f"{asked}: look for divisions by zero and for weights that diverged"
            )
        return output.float().cpu()

    def _advice(self, output: Tensor, batch: int, two_dimensional: bool) -> str:
        if two_dimensional:
            return (
                f": one number for each of the {self._demanded} classes of the data; "
                "is it a model of other classes, or are its outputs features?"
            )
        if batch == 1 and output.dim() == 1:
            return ": a squeeze() without a dimension also removes that of a batch of one"
        return ", one row a cloud"


def randomness(own_change: float) -> str:
    """Says of a model that it is random, in a sentence; nothing of one that is not.

    Args:
        own_change: see `Predictor.own_change`.

    Example:
        >>> randomness(0.25)[:66]
        'The model is random: asked twice about the same cloud, unrotated, '
        >>> randomness(1e-7)
        ''
    """
    if own_change <= OWN_CHANGE:
        return ""
    return (
        "The model is random: asked twice about the same cloud, unrotated, its output moves by "
        f"{100 * own_change:.3g} % of its length (median)."
    )


@dataclass(frozen=True)
class BatchPredictor:
    """Shows shapes, turned, batch by batch.

    Attributes:
        predictor: what is asked.
        batch_size: of the largest batch.
        advance: called with the number of shapes of each batch.
    """

    predictor: Predictor
    batch_size: int
    advance: Advance

    def outputs(
        self, shapes: PointDataset | Tensor, rotations: Tensor | None = None, what: str = ""
    ) -> Tensor:
        """Returns the outputs ``(S, C)`` for shapes turned by ``(S, 3, 3)``, or as they are.

        Args:
            shapes: S of them, or ``(S, N, 3)``.
            rotations: one of each shape; None for none.
            what: where they come from, for messages.

        Raises:
            ValueError: the model fails, or returns something else than finite ``(B, C)``.
        """
        parts = []
        for rows in batches(len(shapes), self.batch_size):
            batch = shapes[rows] if isinstance(shapes, Tensor) else shapes.batch(rows)
            turned = batch if rotations is None else turn(batch, rotations[rows])
            parts.append(self.predictor(turned, what))
            self.advance(len(rows))
        return torch.cat(parts)


@contextmanager
def _evaluating(model: Model) -> Iterator[None]:
    """Sets a module to evaluation mode, in which each output depends on its cloud alone."""
    modules = list(model.modules()) if isinstance(model, torch.nn.Module) else []
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _device(model: Model, device: torch.device | str | None) -> torch.device:
    if device is not None:
        return torch.device(device)
    parameters = model.parameters() if isinstance(model, torch.nn.Module) else iter(())
    return next((parameter.device for parameter in parameters), torch.device("cpu"))


def _main_output(output: object) -> object:
    """Returns the first of a tuple, and of a mapping or dataclass what is named as an output."""
    if is_dataclass(output) and not isinstance(output, type):
        output = {field.name: getattr(output, field.name) for field in fields(output)}
    if isinstance(output, Mapping):
        if len(output) == 1:
            return _main_output(next(iter(output.values())))
        named = [name for name in OUTPUT_NAMES if name in output]
        if not named:
            return output
        return _main_output(output[named[0]])
    if isinstance(output, tuple | list) and output:
        return _main_output(output[0])
    return output


def _place(error: BaseException) -> str:
    """Returns one line: the kind of error, where it was raised, its first line."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = [frame for frame in frames if "site-packages" not in frame.filename]
    where = f" at {own[-1].filename}:{own[-1].lineno}" if own else ""
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}{where}: {lines[0]}"


def batches(count: int, batch_size: int) -> list[Tensor]:
    """Splits ``count`` shapes into batches of nearly equal size, none a single shape if avoidable.

    Args:
        count: of shapes.
        batch_size: of the largest batch.

    Raises:
        ValueError: ``batch_size`` is not positive.

    Example:
        >>> [len(batch) for batch in batches(33, 16)]
        [11, 11, 11]
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    return list(torch.arange(count).tensor_split(-(-count // batch_size))) if count else []
