"""Any backbone made indifferent to rotation: asked about the principal poses of a cloud."""

from collections.abc import Mapping
from itertools import combinations, permutations
from typing import Any

import torch
from torch import Generator, Tensor, nn

from pcclust.nn._lengths import described
from pcclust.ops._clouds import flatten

SIGNS = ((1.0, 1.0, 1.0), (1.0, -1.0, -1.0), (-1.0, 1.0, -1.0), (-1.0, -1.0, 1.0))
ORDERS = tuple(permutations(range(3)))


class CanonicalPose(nn.Module):
    """Averages what a backbone says of a cloud in the poses that the cloud itself singles out.

    The cloud is centred and turned so that its principal axes become x, y and z, longest first. An
    axis has no sign, which leaves four turns; the output is the mean of the backbone's over them.
    So the output is the same for every rotation and shift of the cloud, whatever the backbone is,
    and at four times its cost, or less where it has a method ``of_poses``, as `ClusterNet` has:
    that is asked about all poses at once.

    Which of two axes is the longer is chance where their variances are nearly the same. There the
    axes are swapped as well, up to all 24 turns that bring axes to axes: a pose in which an axis of
    smaller variance b comes before one of larger a weighs
    ``max(0, 1 - (a - b) / (a + b) / softness)``, the product over all such pairs. As two axes
    change places both orders weigh the same, so the output does not jump. (Of ModelNet40's shapes
    27 % have such a pair at the default softness, and 5.2 poses in the mean. Axes of two halves of
    the points of a shape differ by 2 to 9° in the median where the difference is above 0.1, by 18°
    from 0.05 to 0.1, by 40° and more below.) Where two variances are equal the directions of their
    axes in the plane are chance, too, and no finite set of poses helps; of a surface of revolution
    it does not matter.

    In training one pose is drawn for each cloud, by these weights, from torch's global generator:
    the cost is the backbone's. Gradients reach the points through the pose, but not its weights;
    they are exact where variances differ by far more than rounding. There are no second ones.

    Args:
        backbone: maps ``(B, N, 3)`` to ``(B, C)`` or, as a classifier, to logits, whose mean is
            taken; it must not mind the order of points. Or the name of one, see `create_backbone`.
        softness: the relative difference of variances from which on the order of axes is certain.
        size: the root mean square distance from the centroid to which clouds are scaled, so that
            their units do not matter either; as they are if None.
        model_kwargs: of a backbone that is named.

    Attributes:
        out_channels: of the backbone, where it has this attribute.
        posed: whether clouds come in one of their poses already in training, as `pose` leaves
            them; the backbone then gets them as they are. False at first.

    Source: the four poses of Xiao et al., "Endowing Deep 3D Models with Rotation Invariance Based
    on Principal Component Analysis" (2020), the 24 of Li et al., "A Closer Look at
    Rotation-Invariant Deep Point Cloud Analysis" (2021); the weights are our choice.

    Example:
        >>> import torch
        >>> from pcclust.nn import CanonicalPose, PointNet
        >>> model = CanonicalPose(PointNet()).double().eval()
        >>> cloud = torch.rand(1, 100, 3, dtype=torch.float64)
        >>> turned = cloud[..., [1, 2, 0]]
        >>> torch.allclose(model(cloud), model(turned))
        True
    """

    def __init__(
        self,
        backbone: nn.Module | str = "dgcnn",
        softness: float = 0.1,
        size: float | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("softness", softness), ("size", size)):
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value} must be above 0")
        self.softness, self.size, self.posed = softness, size, False
        self.backbone = _built(backbone, model_kwargs or {})
        if hasattr(self.backbone, "out_channels"):
            self.out_channels = self.backbone.out_channels

    def forward(self, points: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Describes each cloud by one vector.

        Args:
            points: ``(B, N, 3)``, of the dtype of the backbone's weights.
            lengths: ``(B,)`` the points of each cloud of a padded batch, passed on; padding takes
                no part.

        Returns:
            What the backbone returns, ``(B, ...)``.

        Raises:
            TypeError: wrong type or dtype.
            ValueError: wrong shape, NaN or inf, or bad lengths.
        """
        if self.training:
            posed = points if self.posed else self.pose(points, lengths=lengths)
            return described(self.backbone, posed, lengths)
        centred, axes, weights = self._poses(points, lengths)
        clouds, poses = weights.nonzero(as_tuple=True)
        turns = axes[clouds] @ _TURNS.to(axes)[poses]
        rows = self._of_poses(centred, turns, clouds, lengths, points.dtype)
        return _weighted_sum(rows, weights[clouds, poses], clouds, len(points))

    def pose(
        self, points: Tensor, generator: Generator | None = None, *, lengths: Tensor | None = None
    ) -> Tensor:
        """Turns each cloud into one of its poses, drawn by their weights, as in training.

        Args:
            points: ``(B, N, 3)``.
            generator: of the draw; torch's global one if None.
            lengths: ``(B,)`` the points of each cloud of a padded batch.

        Returns:
            ``(B, N, 3)`` centred, turned and, where `size` is given, scaled.

        Raises:
            TypeError: wrong type or dtype.
            ValueError: wrong shape, NaN or inf, or bad lengths.
        """
        centred, axes, weights = self._poses(points, lengths)
        poses = torch.multinomial(weights, 1, generator=generator)[:, 0]
        return (centred @ (axes @ _TURNS.to(axes)[poses])).to(points.dtype)

    def _of_poses(
        self,
        centred: Tensor,
        turns: Tensor,
        clouds: Tensor,
        lengths: Tensor | None,
        dtype: torch.dtype,
    ) -> Tensor:
        """Returns what the backbone says of each pose."""
        of_poses = getattr(self.backbone, "of_poses", None)
        if of_poses is not None:
            rows: Tensor = of_poses(centred.to(dtype), turns, clouds, lengths=lengths)
            return rows
        turned = (centred[clouds] @ turns).to(dtype)
        return described(self.backbone, turned, None if lengths is None else lengths[clouds])

    def _poses(self, points: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Returns centred and scaled clouds, their axes, and the weights of the poses."""
        if points.dim() != 3 or points.shape[-1] != 3:
            raise ValueError(f"points must be (B, N, 3), got {tuple(points.shape)}")
        flatten(points, lengths)  # refuses what is no cloud
        centred, axes, variances = principal_axes(points, lengths)
        if self.size is not None:
            centred = centred * _scale_to(self.size, centred, lengths)
        return centred, axes, pose_weights(variances, self.softness)


def principal_axes(points: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Returns centred clouds, their principal axes and the variances along them, in float64.

    The axes have a gradient as long as their variances differ: that of the first order of
    perturbation theory, whose denominators, differences of variances, are kept from 0.

    Args:
        points: ``(B, N, 3)``.
        lengths: ``(B,)`` the points of each cloud; all if None.

    Returns:
        ``(B, N, 3)``, with padding at 0; ``(B, 3, 3)`` rotations whose columns are the axes,
        longest first, of which the signs are arbitrary; ``(B, 3)``.
    """
    rows = points.double()
    inside = torch.ones_like(rows[..., :1])
    if lengths is not None:
        places = torch.arange(points.shape[1], device=points.device)
        inside = (places < lengths[:, None])[..., None].to(rows)
        rows = torch.where(inside > 0, rows, 0)
    count = inside.sum(dim=1, keepdim=True)
    centred = (rows - rows.sum(dim=1, keepdim=True) / count) * inside
    covariance = centred.mT @ centred / count
    variances, axes = torch.linalg.eigh(covariance.detach())
    variances, axes = variances.flip(1).clamp(min=0), axes.flip(2)
    axes = torch.cat([axes[..., :2], axes[..., 2:] * torch.linalg.det(axes)[:, None, None]], dim=2)
    return centred, _perturbed(axes, variances, covariance), variances


def pose_weights(variances: Tensor, softness: float) -> Tensor:
    """Returns ``(B, 24)`` weights of the poses, of sum 1; see `CanonicalPose`.

    Args:
        variances: ``(B, 3)`` along the principal axes, largest first.
        softness: the relative difference from which on their order is certain.
    """
    tiny = torch.finfo(variances.dtype).tiny
    columns = []
    for order in ORDERS:
        weight = torch.ones_like(variances[:, 0])
        for first, second in combinations(order, 2):
            if first > second:  # the shorter one comes first
                large, small = variances[:, second], variances[:, first]
                apart = (large - small) / (large + small).clamp(min=tiny)
                weight = weight * (1 - apart / softness).clamp(min=0)
        columns.append(weight)
    weights = torch.stack(columns, dim=1).repeat_interleave(len(SIGNS), dim=1)
    return weights / weights.sum(dim=1, keepdim=True)


def _scale_to(size: float, centred: Tensor, lengths: Tensor | None) -> Tensor:
    """Returns ``(B, 1, 1)`` by what to multiply; 1 for points that all coincide."""
    count = centred.shape[1] if lengths is None else lengths
    extent = (centred.square().sum(dim=(1, 2)) / count).sqrt()
    return (size / torch.where(extent > 0, extent, size))[:, None, None]


def _built(backbone: nn.Module | str, model_kwargs: Mapping[str, Any]) -> nn.Module:
    if isinstance(backbone, str):
        from pcclust.nn.backbones import create_backbone  # which knows this class, too

        return create_backbone(backbone, **model_kwargs)
    if model_kwargs:
        raise ValueError(f"model_kwargs={dict(model_kwargs)} are for a backbone that is named")
    return backbone


def _perturbed(axes: Tensor, variances: Tensor, covariance: Tensor) -> Tensor:
    """Gives axes the gradient they have as functions of the covariance; their values stay."""
    gaps = variances[:, None, :] - variances[:, :, None]
    least = torch.finfo(gaps.dtype).eps * variances[:, :1, None]
    inverse = torch.where(gaps.abs() > least, 1 / gaps, 0)
    change = covariance - covariance.detach()
    return axes + axes @ (inverse * (axes.mT @ change @ axes))


def _weighted_sum(rows: Tensor, weights: Tensor, clouds: Tensor, count: int) -> Tensor:
    weights = weights.to(rows.dtype).view(-1, *[1] * (rows.dim() - 1))
    return rows.new_zeros(count, *rows.shape[1:]).index_add(0, clouds, weights * rows)


def _turns() -> Tensor:
    """Returns ``(24, 3, 3)``: four signs of every order of the axes, all proper."""
    found = []
    for order in ORDERS:
        permuted = torch.eye(3, dtype=torch.float64)[:, list(order)]
        proper = torch.linalg.det(permuted).round()
        found += [permuted * torch.tensor(signs, dtype=torch.float64) * proper for signs in SIGNS]
    return torch.stack(found)


_TURNS = _turns()
