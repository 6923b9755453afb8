import pytest
import torch

import pcclust
from pcclust.losses import nt_xent
from pcclust.methods.simclr import RECIPE, SimCLR, SimCLRConfig
from pcclust.nn.weights import save_weights
from tests.methods.families import family_set

TINY = {
    "dataset": "x", "num_points": 32, "batch_size": 6, "workers": 1, "projection": 8,
    "model": "dgcnn", "model_kwargs": {"k": 4, "channels": [8], "embedding": 16},
}  # fmt: skip


def create(**settings):
    return SimCLR(RECIPE.preset(**(TINY | settings)), family_set(24, num_points=32)[0])


def test_the_loss_is_nt_xent_of_projections():
    method = create(temperature=0.3)
    batch = next(method.batches(0, 0))
    method.model.eval()
    first, second = (method.model(view)["projector"] for view in batch.points.unbind(dim=1))
    found = method.loss(method.model, batch)
    torch.testing.assert_close(found["loss"], nt_xent(first, second, 0.3))


def test_every_epoch_has_other_views_of_a_shape():
    method = create()
    first, later = (method.views(torch.arange(6), epoch, 0) for epoch in (0, 1))
    assert not torch.equal(first, later)
    assert torch.equal(first, method.views(torch.arange(6), 0, 0))


def test_what_is_saved_is_the_encoder(tmp_path):
    method = create()
    save_weights(tmp_path, *method.saved())
    encoder = pcclust.load(tmp_path).eval()
    assert "clusters" not in method.describe()[0]
    torch.testing.assert_close(encoder(method.shapes.points), method.features())


@pytest.mark.parametrize("name", ["projection", "temperature"])
def test_settings_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}=0 must be positive"):
        SimCLRConfig(dataset="x", **{name: 0})
