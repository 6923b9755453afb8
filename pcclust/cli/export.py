"""``pcclust export``: weights as an ONNX file, for programs without torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from pcclust.cli.console import ExitCode, UsageError, output
from pcclust.nn.onnx_export import compare_onnx, export_onnx
from pcclust.nn.weights import load

DEFAULT_POINTS = 1024


@dataclass(frozen=True, kw_only=True)
class Export:
    """Writes weights as an ONNX file, for programs without torch.

    The file maps points (batch, N, 3) float32, centred and scaled as in the training, to what the
    model gives in evaluation mode: features, or scores of classes or clusters. PointNet, DGCNN and
    what stands on them have a form in ONNX; ClusterNet, which needs a hierarchy, has none. Where
    onnxruntime is installed, it is asked whether it gives the same.

    Attributes:
        what: the folder of a run, a .safetensors file with its card, a name of weights that come
            with pcclust, or hf://OWNER/NAME.
        out: the file to write.
        num_points: of each cloud; by default as in the training.
    """

    what: Annotated[str, Positional, arg(metavar="RUN")]
    out: Annotated[Path, Positional, arg(metavar="FILE.onnx")]
    num_points: int | None = None

    def run(self) -> int:
        """Writes the file, and says what is in it."""
        if self.out.suffix.lower() != ".onnx":
            raise UsageError(f"{self.out} must end in .onnx")
        if self.num_points is not None and self.num_points < 1:
            raise UsageError(f"--num-points {self.num_points} must be at least 1")
        model = load(self.what)
        card = model.__dict__["card"]
        count = self.num_points or card.get("num_points") or DEFAULT_POINTS
        export_onnx(model, self.out, num_points=count)
        output.print(f"{self.out}: points (batch, {count}, 3) to features (batch, C)")
        apart = compare_onnx(model, self.out, num_points=count)
        output.print(
            "not run: onnxruntime is not installed"
            if apart is None
            else f"run by onnxruntime: it differs from torch by at most {apart:.1e}"
        )
        return ExitCode.DONE
