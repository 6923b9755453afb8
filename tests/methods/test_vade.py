from dataclasses import replace

import pytest
import torch

import pcclust
from pcclust.losses import vade_divergence
from pcclust.methods.auto_encoder import AutoEncode, AutoEncoderConfig, reconstruction
from pcclust.methods.features import feature_set
from pcclust.methods.stages import NOTHING
from pcclust.methods.vade import RECIPE, VaDE, VaDEConfig, stages
from pcclust.nn.weights import save_weights
from pcclust.training.optimizer import create_optimizer
from tests.methods.families import family_set

COMMON = {
    "dataset": "x", "num_points": 32, "batch_size": 6, "workers": 1, "model": "dgcnn",
    "model_kwargs": {"k": 4, "channels": [8], "embedding": 16},
}  # fmt: skip


@pytest.fixture
def method(tmp_path):
    shapes, _ = family_set(24, num_points=32)
    config = AutoEncoderConfig(**COMMON, latent=4, decoded_points=16, pose="given")
    save_weights(tmp_path, *AutoEncode(config, shapes).saved())
    given = VaDEConfig(**COMMON, num_clusters=3, prior_rate=0.5)
    return VaDE(given, shapes, replace(NOTHING, weights=tmp_path))


def begin(method):
    with torch.no_grad():
        method.begin_epoch(0, lambda *_: None)


def test_it_begins_where_the_auto_encoder_ended(method):
    before = method.previous.load().eval()
    cluster = method.model.heads["cluster"]
    torch.testing.assert_close(
        cluster.embedding(method.features()), before.embed(method.shapes.points)
    )
    decoder = method.model.heads["posterior"].decoder
    torch.testing.assert_close(
        decoder(cluster.embedding(method.features())), before(method.shapes.points)
    )


def test_the_mixture_is_fitted_to_the_embedding(method):
    begin(method)
    prior = method.model.heads["cluster"].prior
    embedded = method.model.heads["cluster"].embedding(method.features())
    weights = prior.log_joint(embedded).softmax(dim=1)
    sizes = weights.sum(dim=0)
    torch.testing.assert_close(prior.logits.softmax(dim=0), sizes / 24, atol=0.05, rtol=0)
    means = weights.T @ embedded / sizes[:, None]
    torch.testing.assert_close(prior.means, means, atol=0.05, rtol=0.05)


def test_the_loss_is_the_distance_and_the_divergence(method):
    begin(method)
    model = method.model.eval()
    batch = next(method.batches(0, 0))
    torch.manual_seed(3)
    found = method.loss(model, batch)
    torch.manual_seed(3)
    features = model.encoder(batch.points[:, 0])
    cluster, posterior = model.heads["cluster"], model.heads["posterior"]
    mean, logs = cluster.embedding(features), posterior.log_variance(features)
    z = mean + torch.randn_like(mean) * (logs / 2).exp()
    distance = reconstruction(posterior.decoder(z), batch.points[:, 0], "given").mean()
    divergence = vade_divergence(mean, logs, z, cluster.prior).mean()
    torch.testing.assert_close(found["chamfer"], distance)
    torch.testing.assert_close(found["divergence"], divergence)
    torch.testing.assert_close(found["loss"], 5000 * distance + divergence)
    found["loss"].backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_mixture_learns_at_a_rate_of_its_own(method):
    groups = create_optimizer(method.param_groups(), method.config).param_groups
    learned = [id(p) for group in groups for p in group["params"]]
    assert sorted(learned) == sorted(id(p) for p in method.model.parameters())
    assert [group.get("lr_scale") for group in groups] == [None, None, 0.5]


def test_clusters_are_told_by_the_mean_and_survive_saving(method, tmp_path):
    begin(method)
    (tmp_path / "vade").mkdir()
    save_weights(tmp_path / "vade", *method.saved())
    model = pcclust.load(tmp_path / "vade")
    torch.testing.assert_close(model.assign(method.shapes.points), method.assignments())


def test_it_needs_shapes_and_no_other_encoder():
    config = RECIPE.preset(vade=COMMON | {"num_clusters": 3})
    with pytest.raises(ValueError, match="give these"):
        stages(config, feature_set(torch.rand(9, 4)))
    config = RECIPE.preset(vade=COMMON | {"num_clusters": 3, "init": "somewhere"})
    with pytest.raises(ValueError, match="leave --init out"):
        stages(config, family_set(24, num_points=32)[0])


@pytest.mark.parametrize("name", ["reconstruction_weight", "prior_rate"])
def test_settings_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}=0 must be positive"):
        VaDEConfig(dataset="x", num_clusters=3, **{name: 0})
