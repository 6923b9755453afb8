import pytest
import torch

from pcclust.losses import cluster_contrast, nt_xent
from pcclust.methods.cc import CC, RECIPE, CCConfig
from tests.methods.families import family_set

TINY = {
    "dataset": "x", "num_clusters": 3, "num_points": 32, "batch_size": 6, "workers": 1,
    "model": "dgcnn", "model_kwargs": {"k": 4, "channels": [8], "embedding": 16}, "projection": 8,
}  # fmt: skip


def create(**settings):
    return CC(RECIPE.preset(**(TINY | settings)), family_set(24, num_points=32)[0])


def test_the_loss_is_that_of_rows_and_of_columns():
    method = create(instance_temperature=0.4, cluster_temperature=0.7)
    batch = next(method.batches(0, 0))
    method.model.eval()
    found = method.loss(method.model, batch)
    first, second = (method.model(view) for view in batch.points.unbind(dim=1))
    rows = nt_xent(first["instance"], second["instance"], 0.4)
    p1, p2 = (out["cluster"].softmax(dim=1) for out in (first, second))
    columns = cluster_contrast(p1, p2, 0.7)
    torch.testing.assert_close(found["instances"], rows)
    torch.testing.assert_close(found["clusters"], columns)
    torch.testing.assert_close(found["loss"], rows + columns)


def test_two_views_are_two_and_every_epoch_has_others():
    method = create()
    first, again, later = (next(method.batches(epoch, 0)) for epoch in (0, 0, 1))
    assert not torch.equal(first.points[:, 0], first.points[:, 1])
    assert torch.equal(first.points, again.points)
    assert not torch.equal(first.indices, later.indices)


@pytest.mark.parametrize("name", ["projection", "instance_temperature", "cluster_temperature"])
def test_settings_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}=0 must be positive"):
        CCConfig(dataset="x", num_clusters=3, **{name: 0})
