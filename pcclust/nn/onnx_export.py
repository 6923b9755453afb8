"""Encoders as ONNX files, for programs without torch."""

import os
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pcclust._extras import require
from pcclust._files import whole_file

LIBRARY = "pcclust"
EXAMPLES = 2  # of a batch, which may have any size


def export_onnx(model: nn.Module, path: str | os.PathLike[str], *, num_points: int = 1024) -> Path:
    """Writes what a model does in evaluation mode as an ONNX file.

    Its input ``points`` is ``(batch, num_points, 3)`` float32 with a batch of any size, its output
    ``features`` is ``(batch, C)``. Operators of pcclust become plain ones of ONNX, with all
    distances of a cloud at once: quick for some thousand points, not in more. They agree with ours
    to rounding, which may choose another one of two equally near neighbours.

    Args:
        model: an encoder or classifier of float32 weights, such as `PointNet` or `DGCNN`; what
            needs a hierarchy of clusters (`ClusterNet`) has no form in ONNX.
        path: the file to write.
        num_points: of each cloud.

    Returns:
        The path.

    Raises:
        ValueError: the model has no form in ONNX; it says which operator has none.
        ImportError: onnx or onnxscript is not installed.

    Example:
        >>> from pcclust.nn import PointNet
        >>> from pcclust.nn.onnx_export import export_onnx
        >>> export_onnx(PointNet(), "pointnet.onnx")  # doctest: +SKIP
        PosixPath('pointnet.onnx')
    """
    require("onnxscript", "export to ONNX")
    target, training = Path(path), model.training
    try:
        program = _traced(model.eval(), num_points)
    finally:
        model.train(training)
    _refuse_foreign(program, model)
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "model.onnx"
        torch.onnx.export(
            program,
            f=str(temporary),
            input_names=["points"],
            output_names=["features"],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        with whole_file(target) as file:
            file.write(temporary.read_bytes())
    return target


def compare_onnx(
    model: nn.Module, path: str | os.PathLike[str], *, num_points: int = 1024
) -> float | None:
    """Returns how far onnxruntime's answers are from torch's, at most, on two random clouds.

    Args:
        model: that was exported.
        path: of the file.
        num_points: that it was exported for.

    Returns:
        The largest difference of an output; None where onnxruntime is not installed.
    """
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    points = torch.randn(EXAMPLES, num_points, 3, generator=torch.Generator().manual_seed(0))
    training = model.training
    try:
        with torch.no_grad():
            ours = model.eval()(points.to(device)).cpu()
    finally:
        model.train(training)
    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(["features"], {"points": points.numpy()})
    return float((torch.from_numpy(theirs) - ours).abs().max())


def _traced(model: nn.Module, num_points: int) -> torch.export.ExportedProgram:
    """Returns the model as a graph in which operators of ours that ONNX can do are plain torch."""
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    # Points apart from each other, so that no operator refuses them.
    points = torch.randn(EXAMPLES, num_points, 3, device=device)
    try:
        program = torch.export.export(
            model, (points,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False
        )
    except Exception as error:  # of the tracer, in any way
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"{type(model).__name__} cannot be traced for ONNX: {reason}") from error
    known: dict[Any, Callable[..., Any]] = {
        torch.ops.pcclust.knn.default: _knn,
        torch.ops.pcclust.edge_reduce.default: _edge_reduce,
        torch.ops.aten.repeat_interleave.self_Tensor: _repeat,
    }
    table = {**torch.export.default_decompositions(), **known}
    plain: torch.export.ExportedProgram = program.run_decompositions(table)
    return plain


def _refuse_foreign(program: torch.export.ExportedProgram, model: nn.Module) -> None:
    targets = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    left = sorted(target.split(".")[1] for target in targets if target.startswith(f"{LIBRARY}."))
    if left:
        raise ValueError(
            f"{type(model).__name__} has no form in ONNX: it has none for {', '.join(left)}"
        )


def _knn(
    points: Tensor,
    starts: Tensor,
    sizes: Tensor,
    queries: Tensor | None,
    query_starts: Tensor | None,
    query_sizes: Tensor | None,
    packed: bool,
    k: int,
    exclude_self: bool,
) -> tuple[Tensor, Tensor]:
    """Returns neighbours in clouds of one size by the matrix of all distances."""
    if queries is not None or exclude_self or not packed:
        raise ValueError("ONNX has neighbours of packed points among themselves only")
    clouds = points.reshape(starts.shape[0], -1, points.shape[1])
    centred = clouds - clouds.mean(dim=1, keepdim=True)
    squares = centred.square().sum(dim=2)
    distances = squares[:, :, None] + squares[:, None, :] - 2 * centred @ centred.mT
    found, indices = distances.topk(k, dim=2, largest=False)
    rows = indices + starts[:, None, None]
    return found.reshape(-1, k), rows.reshape(-1, k)


def _repeat(values: Tensor, repeats: Tensor, *, output_size: int | None = None) -> Tensor:
    """Returns each value as often as there are rows of a cloud, which all have as many."""
    if output_size is None:
        raise ValueError("ONNX repeats only as often as is known")
    return values[:, None].expand(-1, output_size // values.shape[0]).reshape(-1)


def _edge_reduce(
    projected: Tensor, neighbors: Tensor, starts: Tensor, sizes: Tensor, sign: Tensor, moments: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the maximum over neighbours; what only training needs is 0."""
    own, others = projected.unbind(dim=1)
    rows = neighbors.reshape(starts.shape[0], -1, neighbors.shape[1]) + starts[:, None, None]
    gathered = others[rows.reshape(neighbors.shape)]
    best = torch.where(sign < 0, gathered.amin(dim=1), gathered.amax(dim=1))
    unused = torch.zeros_like(best)
    return own + best, unused.int(), unused[:2].double()
