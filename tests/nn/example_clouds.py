"""Clouds and rotations that the tests of networks share."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from pcclust.nn import create_backbone

SMALL = {
    "canonical-pose": {"backbone": "pointnet", "model_kwargs": {"embedding": 32}},
    "clusternet": {
        "num_clusters": (12, 4),
        "neighbors": (6, 4, 3),
        "channels": ((8, 16), (24,), (32,)),
        "embedding": 16,
    },
    "dgcnn": {"k": 6, "channels": (8, 8, 16), "embedding": 32},
    "feature-stack": {
        "parts": [{"model": "pointnet", "model_kwargs": {"embedding": 32}}, "rri-statistics"]
    },
    "pointnet": {"input_transform": True, "feature_transform": True, "embedding": 32},
    "rri-statistics": {},
}


def objects(batch: int, count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Returns ``(batch, count, 3)`` points on bent, uneven sheets about the origin."""
    generator = torch.Generator().manual_seed(count)
    u, v = torch.rand(2, batch, count, generator=generator, dtype=dtype).mul(2).sub(1)
    bend = torch.randn(batch, 1, generator=generator, dtype=dtype)
    cloud = torch.stack([u, v * (1.5 + u), bend * u * v + 0.3 * (3 * v).sin()], dim=-1)
    cloud = cloud - cloud.mean(dim=1, keepdim=True)
    return cloud / cloud.norm(dim=-1).amax(dim=1)[:, None, None]


def rotations(count: int) -> Tensor:
    """Returns ``(count, 3, 3)`` float64 rotations, from QR of Gaussian matrices."""
    generator = torch.Generator().manual_seed(count)
    q, r = torch.linalg.qr(torch.randn(count, 3, 3, generator=generator, dtype=torch.float64))
    q = q * r.diagonal(dim1=1, dim2=2).sign()[:, None, :]
    return q * q.det().sign()[:, None, None]


def small_backbone(
    name: str,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    more: Mapping[str, object] = MappingProxyType({}),
) -> nn.Module:
    """Returns a small network of that name with statistics of its own and no parameter at 0."""
    torch.manual_seed(seed)
    network = create_backbone(name, **SMALL[name], **more).to(dtype)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        network(objects(6, 48, dtype))
    return network


def relative(found: Tensor, expected: Tensor) -> float:
    """Returns the largest difference relative to the largest entry."""
    scale = float(expected.detach().abs().max())
    return float((found.detach() - expected.detach()).abs().max()) / max(scale, 1e-12)
