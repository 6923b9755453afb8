import pytest
import torch

import pcclust
from pcclust.losses import byol, cluster_contrast
from pcclust.methods.htcn import HTCN, RECIPE, HTCNConfig
from pcclust.nn.weights import save_weights
from tests.methods.families import family_set

TINY = {
    "dataset": "x", "num_clusters": 3, "num_points": 32, "batch_size": 6, "workers": 1,
    "model": "dgcnn", "model_kwargs": {"k": 4, "channels": [8], "embedding": 16},
    "hidden": 12, "projection": 8,
}  # fmt: skip


def create(**settings):
    return HTCN(RECIPE.preset(**(TINY | settings)), family_set(24, num_points=32)[0])


def change(method, by=0.1):
    """Moves what learns away from what follows, as steps of training would."""
    with torch.no_grad():
        for module in (method.model.encoder, method.model.heads["online"]):
            for parameter in module.parameters():
                parameter.add_(by)


def test_the_loss_is_four_terms_of_byol_and_the_mean_of_four_contrasts():
    method = create(temperature=0.7)
    change(method)
    model = method.model.eval()
    batch = next(method.batches(0, 0))
    found = method.loss(model, batch)
    online, slow = model.heads["online"], model.heads["cluster"]
    predicted, projected, p, q = [], [], [], []
    for view in batch.points.unbind(dim=1):
        features, followed = model.encoder(view), model.heads["encoder"](view)
        predicted.append(online.predictor(online.head.projector(features)))
        p.append(online.head(features).softmax(dim=1))
        projected.append(slow.projector(followed))
        q.append(slow(followed).softmax(dim=1))
    pairs = [(0, 2), (2, 0), (1, 2), (2, 1)]
    instances = sum(byol(predicted[i], projected[j]) for i, j in pairs)
    clusters = sum(cluster_contrast(p[i], q[j], 0.7) for i, j in pairs) / 4
    torch.testing.assert_close(found["instances"], instances)
    torch.testing.assert_close(found["clusters"], clusters)
    torch.testing.assert_close(found["loss"], instances + clusters)


def test_what_follows_gets_no_gradient_and_moves_by_the_momentum():
    method = create(momentum=0.75)
    change(method)
    heads = method.model.heads
    before = [p.clone() for p in (*heads["encoder"].parameters(), *heads["cluster"].parameters())]
    method.loss(method.model, next(method.batches(0, 0)))["loss"].backward()
    slow = (*heads["encoder"].parameters(), *heads["cluster"].parameters())
    assert all(p.grad is None for p in slow)
    assert all(p.grad is not None for p in heads["online"].parameters())
    method.after_step()
    fast = (*method.model.encoder.parameters(), *heads["online"].head.parameters())
    for old, new, target in zip(before, slow, fast, strict=True):
        torch.testing.assert_close(new, 0.75 * old + 0.25 * target)


def test_clusters_and_what_is_saved_are_of_what_follows(tmp_path):
    method = create()
    change(method)
    model, card = method.saved()
    save_weights(tmp_path, model, card)
    points = method.shapes.points
    expected = method.model.heads["cluster"].eval()(method.model.heads["encoder"].eval()(points))
    torch.testing.assert_close(method.assignments(), expected.softmax(dim=1))
    torch.testing.assert_close(pcclust.load(tmp_path).assign(points), expected.softmax(dim=1))


@pytest.mark.parametrize(
    "settings", [{"hidden": 0}, {"projection": 0}, {"temperature": 0.0}, {"momentum": 1.0}]
)
def test_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        HTCNConfig(dataset="x", num_clusters=3, **settings)
