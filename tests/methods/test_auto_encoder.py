import pytest
import torch

import pcclust
from pcclust.data.rotations import random_rotations
from pcclust.losses import chamfer
from pcclust.methods.auto_encoder import AutoEncode, AutoEncoderConfig, reconstruction
from pcclust.nn.weights import save_weights
from tests.methods.families import family_set

TINY = {
    "dataset": "x", "num_points": 32, "batch_size": 6, "workers": 1, "latent": 4,
    "decoded_points": 16, "model": "dgcnn",
    "model_kwargs": {"k": 4, "channels": [8], "embedding": 16},
}  # fmt: skip


def create(**settings):
    shapes, _ = family_set(24, num_points=32)
    return AutoEncode(AutoEncoderConfig(**(TINY | settings)), shapes)


def boxes(count=3, points=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sides = torch.tensor([1.0, 0.6, 0.3], dtype=torch.float64)
    return torch.rand(count, points, 3, generator=generator, dtype=torch.float64) * sides


def test_the_distance_to_principal_poses_is_the_same_for_every_turn_of_the_cloud():
    clouds, decoded = boxes(), boxes(seed=1)[:, :20]
    turns = random_rotations(3, generator=torch.Generator().manual_seed(2)).double()
    plain = reconstruction(decoded, clouds, "principal")
    turned = reconstruction(decoded, clouds @ turns, "principal")
    torch.testing.assert_close(turned, plain, rtol=1e-3, atol=1e-4)
    given = reconstruction(decoded, clouds @ turns, "given")
    assert not torch.allclose(given, reconstruction(decoded, clouds, "given"), rtol=0.05)


def test_it_is_the_nearest_of_four_poses():
    cloud = boxes(1)
    centred = cloud - cloud[:, :40].mean(dim=1, keepdim=True)
    _, axes = torch.linalg.eigh(centred[0].T @ centred[0])
    axes = axes.flip(1)
    axes[:, 2] *= torch.linalg.det(axes)
    decoded = boxes(1, seed=1)
    signs = ([1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1])
    expected = min(
        float(chamfer(decoded.float(), (centred @ axes * torch.tensor(s)).float())) for s in signs
    )
    assert float(reconstruction(decoded, cloud, "principal")) == pytest.approx(expected, rel=1e-4)


def test_gradients_reach_what_is_decoded():
    decoded = boxes(2).float().requires_grad_()
    reconstruction(decoded, boxes(2, seed=1), "principal").sum().backward()
    assert decoded.grad.isfinite().all()
    assert bool((decoded.grad != 0).any())


def test_what_is_saved_embeds_and_decodes(tmp_path):
    method = create(pose="given")
    save_weights(tmp_path, *method.saved())
    model = pcclust.load(tmp_path).eval()
    head = method.model.heads["decoder"]
    torch.testing.assert_close(model.embed(method.shapes.points), head.embedding(method.features()))
    assert model(method.shapes.points).shape == (24, 16, 3)
    batch = next(method.batches(0, 0))
    method.model.eval()
    expected = chamfer(model(batch.points[:, 0]), batch.points[:, 0, :16]).mean()
    torch.testing.assert_close(method.loss(method.model, batch)["loss"], expected)


def test_no_more_points_are_decoded_than_clouds_have():
    assert create(decoded_points=100).model.heads["decoder"].num_points == 32


@pytest.mark.parametrize("name", ["latent", "decoded_points"])
def test_settings_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}=0 must be positive"):
        AutoEncoderConfig(dataset="x", **{name: 0})
