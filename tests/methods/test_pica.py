import pytest
import torch

from pcclust.losses import partition_uncertainty
from pcclust.methods.pica import PICA, RECIPE, PICAConfig, stages
from tests.methods.families import family_set

TINY = {
    "dataset": "x", "num_clusters": 3, "num_points": 32, "batch_size": 6, "workers": 1,
    "model": "dgcnn", "model_kwargs": {"k": 4, "channels": [8], "embedding": 16},
}  # fmt: skip


def create(count=24, **settings):
    return PICA(RECIPE.preset(**(TINY | settings)), family_set(count, num_points=32)[0])


def test_heads_take_turns_the_finer_one_first():
    method = create(balance=1.0)
    batch = next(method.batches(0, 0))
    for epoch, name in enumerate(("over", "cluster", "over")):
        method.begin_epoch(epoch, None)
        found = method.loss(method.model, batch)["loss"]
        out = method.model(batch.points.flatten(0, 1))[name].softmax(dim=1).view(6, 2, -1)
        assert found == partition_uncertainty(out[:, 0], out[:, 1], 1.0)
        method.model.zero_grad()
        found.backward()
        moved = {n for n, head in method.model.heads.items() if head.layer.weight.grad is not None}
        assert moved == {name}


def test_the_first_view_is_the_shape_itself():
    method = create()
    batch = next(method.batches(0, 0))
    assert torch.equal(batch.points[:, 0], method.shapes.batch(batch.indices))
    assert not torch.equal(batch.points[:, 1], batch.points[:, 0])


@pytest.mark.parametrize(
    ("count", "given", "expected"), [(24, None, 12), (60, None, 21), (24, 5, 5)]
)
def test_the_finer_head_has_seven_times_as_many_but_at_most_half_the_shapes(count, given, expected):
    assert create(count, over_clusters=given).model.heads["over"].num_clusters == expected


def test_both_heads_get_as_many_epochs():
    assert stages(RECIPE.preset(**TINY, epochs=5), None)[0].epochs == 6


@pytest.mark.parametrize("settings", [{"over_clusters": 1}, {"balance": -1.0}, {"num_clusters": 1}])
def test_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings)).removeprefix("num_")):
        PICAConfig(**({"dataset": "x", "num_clusters": 3} | settings))
