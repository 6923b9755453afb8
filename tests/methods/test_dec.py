from dataclasses import replace

import pytest
import torch

from pcclust.cluster import KMeans, clustering_accuracy
from pcclust.losses import dec, target_distribution
from pcclust.methods.auto_encoder import AutoEncode, AutoEncoderConfig
from pcclust.methods.dec import DEC, RECIPE, DECConfig, principal_embedding, stages
from pcclust.methods.features import feature_set
from pcclust.methods.stages import NOTHING
from pcclust.nn.weights import save_weights
from pcclust.training import RunFolder, fit
from tests.methods.families import family_set

DGCNN = {"model": "dgcnn", "model_kwargs": {"k": 4, "channels": [8], "embedding": 16}}
TINY = {"dataset": "x", "num_clusters": 3, "batch_size": 6, "workers": 1, "latent": 3}


def rows(count=30, width=6):
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(count, width, generator=generator)
        + 4 * torch.eye(width)[torch.arange(count) % 3]
    )


def on_features(**settings):
    return DEC(DECConfig(**(TINY | settings)), feature_set(rows()))


def begin(method, epoch=0):
    with torch.no_grad():
        method.begin_epoch(epoch, lambda *_: None)


def test_the_principal_embedding_has_unit_mean_variance():
    weight, bias = principal_embedding(rows(), 3)
    embedded = rows() @ weight.T + bias
    torch.testing.assert_close(embedded.mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(embedded.var(dim=0).mean(), torch.tensor(1.0), atol=0.05, rtol=0)
    covariance = embedded.T.cov()
    assert (covariance - covariance.diag().diag()).abs().max() < 1e-3
    flat, _ = principal_embedding(torch.rand(9, 1) @ torch.rand(1, 6), 3)
    assert flat.isfinite().all()


def test_centers_are_those_of_k_means_and_the_target_is_of_all_shapes():
    method = on_features()
    begin(method)
    head = method.model.heads["cluster"]
    embedded = head.embedding(method.features()).detach()
    best = KMeans(3, n_init=5, random_state=1).fit(embedded).inertia_
    nearest = torch.cdist(embedded, head.centers).amin(dim=1).square().sum()
    assert nearest.item() == pytest.approx(best, rel=1e-4)
    expected = target_distribution(method.assignments())
    torch.testing.assert_close(method.model.target, expected)
    batch = next(method.batches(0, 0))
    scores = head(batch.points[:, 0])
    expected = dec(scores, method.model.target[batch.indices])
    torch.testing.assert_close(method.loss(method.model, batch)["loss"], expected)


def test_the_embedding_is_that_of_an_auto_encoder_where_there_is_one(tmp_path):
    shapes, _ = family_set(24, num_points=32)
    common = DGCNN | {"dataset": "x", "num_points": 32, "batch_size": 6, "workers": 1}
    before = AutoEncode(AutoEncoderConfig(**common, latent=5, decoded_points=8), shapes)
    save_weights(tmp_path, *before.saved())
    config = DECConfig(**common, num_clusters=3)
    method = DEC(config, shapes, replace(NOTHING, weights=tmp_path))
    begin(method)
    embedding, expected = method.model.heads["cluster"].embedding, before.model.heads["decoder"]
    assert torch.equal(embedding.weight, expected.embedding.weight)
    assert torch.equal(embedding.bias, expected.embedding.bias)


def test_it_ends_when_few_shapes_change_their_cluster():
    method = on_features(tolerance=0.1)
    begin(method)
    assert not method.converged()
    assert method.evaluate()["changed"] == 0
    assert method.converged()
    with torch.no_grad():
        method.model.heads["cluster"].centers.copy_(
            method.model.heads["cluster"].centers.roll(1, dims=0)
        )
    assert method.evaluate()["changed"] == 1
    assert not method.converged()


def test_features_far_from_the_origin_are_clustered_and_the_head_takes_them_as_they_are(tmp_path):
    labels = torch.arange(60) % 3
    noise = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    features = noise + 6 * torch.eye(8)[labels] + 300
    config = DECConfig(
        dataset="x", num_clusters=3, epochs=8, batch_size=10, latent=2, tolerance=0.0, workers=0
    )
    method = DEC(config, feature_set(features))
    fit(method, RunFolder(tmp_path))
    model, _ = method.saved()
    with torch.no_grad():
        ours = method.assignments()
        torch.testing.assert_close(model(features).softmax(1), ours, atol=1e-3, rtol=1e-2)
    assert clustering_accuracy(labels, ours.argmax(dim=1)) >= 0.95


def test_stages():
    shapes, _ = family_set(24, num_points=32)
    config = RECIPE.preset(dec=TINY | DGCNN | {"num_points": 32})
    assert [stage.name for stage in stages(config, shapes)] == ["autoencoder", "dec"]
    assert [stage.name for stage in stages(config, feature_set(rows()))] == ["dec"]


@pytest.mark.parametrize(
    "settings", [{"latent": 0}, {"alpha": 0.0}, {"starts": 0}, {"tolerance": 1}]
)
def test_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        DECConfig(**(TINY | settings))
