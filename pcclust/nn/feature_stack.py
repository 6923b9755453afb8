"""Several encoders side by side, as one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Self

from pcclust.cluster._inputs import mean_and_deviation
from pcclust.nn._lengths import described
from pcclust.nn._packed import pack
from pcclust.nn.rri_statistics import CHANNELS, rri_statistics

_SHAPES_ONLY = ContextVar("shapes_only", default=False)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Builds models within on the meta device, stacks without reading the weights of their parts.

    Example:
        >>> from pcclust.nn import PointNet
        >>> with shapes_only():
        ...     PointNet(embedding=8).out_channels, PointNet().state_dict().popitem()[1].device
        (8, device(type='meta'))
    """
    token = _SHAPES_ONLY.set(True)
    try:
        with torch.device("meta"):
            yield
    finally:
        _SHAPES_ONLY.reset(token)


class RRIStatistics(nn.Module):
    """`rri_statistics` as a backbone, without any parameter.

    Example:
        >>> import torch
        >>> from pcclust.nn import RRIStatistics
        >>> RRIStatistics()(torch.rand(2, 100, 3)).shape
        torch.Size([2, 300])
    """

    out_channels = CHANNELS

    def forward(self, points: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Describes each cloud by one vector; see `rri_statistics`.

        Args:
            points: ``(B, N, 3)``.
            lengths: ``(B,)`` the points of each cloud of a padded batch; padding takes no part.

        Returns:
            ``(B, 300)``.
        """
        clouds = pack(points, lengths)  # checks them, too
        if lengths is None:
            described: Tensor = rri_statistics(points)
            return described
        alone = torch.split(clouds.rows, list(clouds.sizes))
        return torch.cat([rri_statistics(cloud[None]) for cloud in alone])


class FeatureStack(nn.Module):
    """Puts the features of several encoders side by side, so that each has an equal say.

    Channels are brought to mean 0 and, within the part of an encoder, to the same variance, 1 in
    the sum of the part: what `fit` has seen decides. Before that they stay as they are.

    A part may be weights that come with pcclust. Such a part is not trained, and the state of the
    stack leaves it out: a file of weights of the stack names it, with its SHA-256.

    Args:
        parts: the encoders, or what builds one: its name, a mapping of ``model`` (a name as
            `create_backbone` takes it) and ``model_kwargs``, or a mapping of ``weights`` (a name of
            weights that come with pcclust) and, to be sure of them, ``sha256``.

    Attributes:
        parts: the encoders.
        out_channels: of all of them together.
        widths: the channels of each.

    Raises:
        ValueError: no parts, a name or setting that is not there, or other weights than those of
            the SHA-256.

    Example:
        >>> import torch
        >>> from pcclust.nn import FeatureStack
        >>> stack = FeatureStack(["pointnet", "rri-statistics"]).eval()
        >>> stack(torch.rand(2, 100, 3)).shape, stack.widths
        (torch.Size([2, 1324]), (1024, 300))
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, parts: Sequence[nn.Module | str | Mapping[str, Any]]) -> None:
        super().__init__()
        if not parts:
            raise ValueError("a stack needs at least one part")
        self.parts = nn.ModuleList(_built(part) for part in parts)
        self._shipped = [number for number, part in enumerate(parts) if _is_shipped(part)]
        self.widths = tuple(int(part.out_channels) for part in self.parts)  # type: ignore[arg-type]
        self.out_channels = sum(self.widths)
        self.register_buffer("mean", torch.zeros(self.out_channels))
        self.register_buffer("scale", torch.ones(self.out_channels))
        if self._shipped:
            self.register_state_dict_post_hook(_leave_out)  # type: ignore[no-untyped-call]
            self.register_load_state_dict_pre_hook(_fill_in)  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> Self:
        """Sets the mode of all parts but those that are not trained, which stay as they are."""
        super().train(mode)
        for number in self._shipped:
            self.parts[number].eval()
        return self

    def forward(self, points: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Describes each cloud by one vector.

        Args:
            points: ``(B, N, 3)``, of the dtype of the weights.
            lengths: ``(B,)`` the points of each cloud of a padded batch; padding takes no part.

        Returns:
            ``(B, out_channels)``.
        """
        rows = torch.cat([described(part, points, lengths) for part in self.parts], dim=1)
        return (rows - self.mean) * self.scale

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Finds by which means and factors channels are evened out.

        Args:
            features: ``(N, out_channels)`` what this stack makes of many shapes, in eval mode.

        Raises:
            ValueError: wrong shape, NaN or inf, or a part whose features are all equal.
        """
        if features.dim() != 2 or features.shape[1] != self.out_channels or len(features) < 2:
            raise ValueError(
                f"features must be (N, {self.out_channels}) with N >= 2, got "
                f"{tuple(features.shape)}"
            )
        if not bool(features.isfinite().all()):
            raise ValueError("features hold NaN or inf")
        raw = features.double() / self.scale.double() + self.mean.double()
        mean, deviation = mean_and_deviation(raw.to(features.dtype))
        scale = torch.empty_like(mean)
        columns = torch.arange(self.out_channels, device=raw.device)
        for number, part in enumerate(torch.split(columns, list(self.widths))):
            if not bool(deviation[part].any()):
                raise ValueError(f"the features of part {number} are the same for all shapes")
            scale[part] = 1 / (deviation[part] * len(part) ** 0.5)
        # A channel that is constant stays, at 0, and can be evened out anew.
        scale = torch.where(deviation > 0, scale, 1)
        self.mean.copy_(mean)
        self.scale.copy_(scale)


def _built(part: nn.Module | str | Mapping[str, Any]) -> nn.Module:
    from pcclust.nn.backbones import create_backbone  # which knows this class, too

    if isinstance(part, nn.Module):
        return part
    if isinstance(part, str):
        return create_backbone(part)
    if "weights" in part:
        return _built_from_weights(**part)
    return create_backbone(part["model"], **part.get("model_kwargs", {}))


def _is_shipped(part: nn.Module | str | Mapping[str, Any]) -> bool:
    return isinstance(part, Mapping) and "weights" in part


def _built_from_weights(weights: str, sha256: str | None = None) -> nn.Module:
    from pcclust.nn.weights import build_of_card, load, read_card  # which build stacks
    from pcclust.nn.weights_source import locate, shipped_names

    # A file of weights, which may be anyone's, does not decide what else is read or fetched.
    if weights not in shipped_names():
        raise ValueError(
            f"a stack takes weights that come with pcclust ({', '.join(shipped_names())}), and "
            f"{weights!r} are none; of others give the model that pcclust.load returns"
        )
    if _SHAPES_ONLY.get():
        card = read_card(weights)
        part = build_of_card(card, locate(weights))
    else:
        with torch.device("cpu"):
            part = load(weights).requires_grad_(False)
        card = part.__dict__["card"]
    found = card["sha256"]
    if sha256 is not None and found != sha256:
        raise ValueError(
            f"the weights {weights} of this copy of pcclust have SHA-256 {found[:16]}…, those that "
            f"the stack was made of {sha256[:16]}…: take the version of pcclust that wrote it"
        )
    return part


def _leave_out(stack: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Takes parts that come with pcclust out of the state of a stack."""
    assert isinstance(stack, FeatureStack)
    own = tuple(f"{prefix}parts.{number}." for number in stack._shipped)
    for name in [name for name in state if name.startswith(own)]:
        del state[name]


def _fill_in(stack: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Puts them into the state that a stack is about to load, as they are."""
    assert isinstance(stack, FeatureStack)
    for number in stack._shipped:
        state.update(stack.parts[number].state_dict(prefix=f"{prefix}parts.{number}."))
