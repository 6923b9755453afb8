"""SimCLR: an encoder learns to tell which two views are of one shape."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from pcclust.losses import nt_xent
from pcclust.methods.pretext import Pretext, PretextConfig, Views
from pcclust.methods.stages import Recipe, Shapes, Stage
from pcclust.nn.projector import Projector


@dataclass(frozen=True, kw_only=True)
class SimCLRConfig(PretextConfig):
    """How views are contrasted.

    Attributes:
        projection: channels in which they are.
        temperature: the lower, the more the most similar other shapes count.
    """

    projection: int = 128
    temperature: float = 0.2
    epochs: int = 60
    batch_size: int = 128

    method: ClassVar[str] = "simclr"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("projection", "temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")


class SimCLR(Pretext):
    """Contrasts two views of each shape with all other views of a batch.

    What is saved is the encoder, without the projector.

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations"
    (2020).
    """

    config: SimCLRConfig

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns the projector."""
        return {"projector": Projector(width, width, self.config.projection)}

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns NT-Xent of both views."""
        z1, z2 = self.outputs(model, batch)["projector"].unbind(dim=1)
        return {"loss": nt_xent(z1, z2, self.config.temperature)}


def stages(config: SimCLRConfig, shapes: Shapes) -> list[Stage]:
    """Returns the only stage."""
    return [Stage("simclr", lambda *given: SimCLR(config, *given), config.epochs)]


RECIPE = Recipe(
    about="""Learns an encoder by contrasting two views of each shape (SimCLR).

    It makes features, not clusters: for pcclust cluster, or --init of other methods.
    """,
    config=SimCLRConfig,
    stages=stages,
    presets={
        "rotation-invariant": {"model": "clusternet"},
        "chen2020": {"batch_size": 512, "temperature": 0.5},
    },
)
