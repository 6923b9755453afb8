"""An auto-encoder of clouds: the stage before methods that cluster its embedding."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from pcclust.data import PointDataset
from pcclust.losses import chamfer
from pcclust.methods.pretext import Pretext, PretextConfig, Views
from pcclust.nn import AutoEncoder
from pcclust.nn.auto_encoder import Embedded
from pcclust.nn.canonical_pose import SIGNS, principal_axes


@dataclass(frozen=True, kw_only=True)
class AutoEncoderConfig(PretextConfig):
    """How clouds are embedded and made again.

    Attributes:
        latent: numbers of the embedding.
        decoded_points: points of a decoded cloud; fewer where clouds have fewer.
        pose: in which a cloud is to be made again: "principal", that of its principal axes, for
            encoders that see no pose; or "given".
    """

    latent: int = 10
    decoded_points: int = 512
    pose: Literal["principal", "given"] = "principal"
    epochs: int = 60
    batch_size: int = 64

    method: ClassVar[str] = "auto-encoder"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("latent", "decoded_points"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")


class AutoEncode(Pretext):
    """Embeds clouds in few numbers from which they can be made again, by the Chamfer distance.

    An encoder that sees no pose cannot tell in which one to make a cloud. Its principal axes tell
    all but four, since axes have no sign: the nearest of these counts. (Our choice; the papers of
    the methods on top embed images and texts.)

    What is saved is a `pcclust.nn.AutoEncoder`.
    """

    config: AutoEncoderConfig
    num_views: ClassVar[int] = 1

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns embedding and decoder."""
        points = min(self.config.decoded_points, self.config.num_points)
        return {"decoder": Embedded(width, self.config.latent, points)}

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns the mean Chamfer distance of clouds and what is decoded of them."""
        decoded = self.outputs(model, batch, ["decoder"])["decoder"][:, 0]
        return {"loss": reconstruction(decoded, batch.points[:, 0], self.config.pose).mean()}

    def saved(self) -> tuple[nn.Module, dict[str, Any]]:
        """Returns the auto-encoder and its card."""
        head = self.model.heads["decoder"]
        assert isinstance(head, Embedded)
        assert isinstance(self.shapes, PointDataset)
        model = AutoEncoder(self.encoder.network, head)
        return model, self._card(model) | model.card()


def reconstruction(decoded: Tensor, points: Tensor, pose: str) -> Tensor:
    """Returns the Chamfer distance ``(B,)`` of clouds, to the nearest pose where several count.

    Args:
        decoded: ``(B, M, 3)``.
        points: ``(B, N, 3)``; of each the first M are compared, in the order they have.
        pose: as for `AutoEncoderConfig`.
    """
    decoded, points = decoded.float(), points[:, : decoded.shape[1]]
    if pose == "given":
        return chamfer(decoded, points.to(decoded))
    with torch.no_grad():
        centred, axes, _ = principal_axes(points)
        posed = (centred @ axes).to(decoded)
        poses = posed[:, None] * posed.new_tensor(SIGNS)[:, None]  # (B, 4, M, 3)
    several = decoded[:, None].expand_as(poses).flatten(0, 1)
    return chamfer(several, poses.flatten(0, 1)).view(-1, len(SIGNS)).amin(dim=1)
