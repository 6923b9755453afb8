"""VaDE: shapes are drawn from a mixture of Gaussians, one a cluster, and decoded."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn
from tyro.conf import arg

from pcclust.data import PointDataset
from pcclust.losses import vade_divergence
from pcclust.methods.auto_encoder import AutoEncode, reconstruction
from pcclust.methods.base import DeepClustering, DeepClusteringConfig, Views
from pcclust.methods.dec import AutoEncoderStageConfig
from pcclust.methods.stages import Recipe, Shapes, Stage, of_stage
from pcclust.nn import AutoEncoder
from pcclust.nn.auto_encoder import PointDecoder
from pcclust.nn.cluster_heads import MixtureHead
from pcclust.training import Progress


@dataclass(frozen=True, kw_only=True)
class VaDEConfig(DeepClusteringConfig):
    """What the parts of the objective weigh.

    Attributes:
        reconstruction_weight: of the Chamfer distance beside the divergence; it stands for the sum
            over all coordinates divided by the variance of their noise, and is our choice.
        prior_rate: of the mixture's learning, as a fraction of the rate of the rest.
    """

    reconstruction_weight: float = 5000.0
    prior_rate: float = 1.0
    epochs: int = 60
    batch_size: int = 64
    learning_rate: float | None = 1e-3
    weight_decay: float | None = 0.0

    method: ClassVar[str] = "vade"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("reconstruction_weight", "prior_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")


@dataclass(frozen=True, kw_only=True)
class StagesConfig:
    """The settings of both stages.

    Attributes:
        vade: of the stage that clusters. Data, points, up axis, model, seed, precision, workers and
            logging are those of both.
        autoencoder: of the stage before.
    """

    vade: Annotated[VaDEConfig, arg(name="")]
    autoencoder: AutoEncoderStageConfig = field(default_factory=AutoEncoderStageConfig)

    method: ClassVar[str] = "vade"


class Posterior(nn.Module):
    """The logarithm of the variance of the embedding, and the decoder."""

    def __init__(self, width: int, decoder: PointDecoder, latent: int) -> None:
        super().__init__()
        self.log_variance = nn.Linear(width, latent)
        self.decoder = decoder

    def forward(self, features: Tensor) -> Tensor:
        """Returns logarithms of variances ``(B, latent)`` of features ``(B, C)``."""
        logs: Tensor = self.log_variance(features)
        return logs


class VaDE(DeepClustering):
    """Maximises the evidence of shapes under a mixture in the embedding of an auto-encoder.

    Encoder, embedding and decoder come from the auto-encoder; the mixture is fitted to the
    embedding by expectation-maximisation. Then all learn together: clouds are decoded from a sample
    of the posterior, which is drawn to the mixture. Clusters are told by the posterior's mean.

    What differs from the official code: weights of the mixture are a softmax and variances
    exponentials, so that none can be negative; γ is computed by log-sum-exp; the distance of clouds
    is Chamfer's, of the nearest of the four principal poses.

    Source: Jiang et al., "Variational Deep Embedding: An Unsupervised and Generative Approach to
    Clustering" (2017).
    """

    config: VaDEConfig
    num_views: ClassVar[int] = 1
    collapse_advice: ClassVar[str] = "raise --reconstruction-weight, or lower --prior-rate"

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns the mixture with its embedding, and what is left of posterior and decoder."""
        before = self._auto_encoder()
        latent = before.head.latent
        cluster = MixtureHead(width, self.config.num_clusters, latent)
        cluster.embedding.load_state_dict(before.head.embedding.state_dict())
        posterior = Posterior(width, before.head.decoder, latent)
        # Narrow at first, so that decoding begins where the auto-encoder ended.
        nn.init.zeros_(posterior.log_variance.weight)
        nn.init.constant_(posterior.log_variance.bias, -3.0)
        return {"cluster": cluster, "posterior": posterior}

    def begin_epoch(self, epoch: int, progress: Progress) -> Iterable[nn.Parameter]:
        """Fits the mixture to the embedding before the first epoch."""
        if epoch == 0:
            self._fit_mixture(progress)
        return ()

    def views(self, rows: Tensor, epoch: int, step: int) -> Tensor:
        """Returns shapes as they are, ``(B, 1, P, 3)``."""
        assert isinstance(self.shapes, PointDataset)
        return self.read(self.shapes, rows)[:, None]

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns the negative evidence, and its parts."""
        points = batch.points[:, 0]
        out = model(points, ["posterior"])
        cluster, posterior = self._parts()
        mean, log_variance = cluster.embedding(out["features"]).float(), out["posterior"].float()
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        divergence = vade_divergence(mean, log_variance, z, cluster.prior).mean()
        pose = self.pose
        distance = reconstruction(posterior.decoder(z), points, pose).mean()
        loss = self.config.reconstruction_weight * distance + divergence
        return {"loss": loss, "chamfer": distance, "divergence": divergence}

    def param_groups(self) -> list[dict[str, Any]]:
        """Returns the mixture's parameters in a group of their own rate."""
        cluster, _ = self._parts()
        mixture = [cluster.logits, cluster.means, cluster.log_variances]
        own = {id(parameter) for parameter in mixture}
        groups = [
            group | {"params": [p for p in group["params"] if id(p) not in own]}
            for group in super().param_groups()
        ]
        rate = {"lr_scale": self.config.prior_rate, "weight_decay": 0.0}
        return [*groups, {"params": mixture} | rate]

    @property
    def pose(self) -> str:
        """In which pose the auto-encoder before decodes."""
        card = self._auto_encoder().__dict__["card"]
        pose: str = card["config"]["pose"]
        return pose

    @torch.no_grad()
    def _fit_mixture(self, progress: Progress) -> None:

        from sklearn.mixture import GaussianMixture

        cluster, _ = self._parts()
        device = cluster.means.device
        embedded = cluster.embedding(self.features(progress).to(device)).cpu().double().numpy()
        clusters, seed = self.config.num_clusters, self.config.seed
        model = GaussianMixture(clusters, covariance_type="diag", n_init=5, random_state=seed)
        with warnings.catch_warnings():  # a mixture that has not settled is good enough to begin
            warnings.simplefilter("ignore")
            model.fit(embedded)
        found = ((cluster.logits, model.weights_), (cluster.means, model.means_))
        for parameter, value in found:
            parameter.copy_(torch.from_numpy(value).to(parameter))
        cluster.logits.log_()
        cluster.log_variances.copy_(torch.from_numpy(model.covariances_).log().to(device))

    def _auto_encoder(self) -> AutoEncoder:
        model = self.previous.load()
        assert isinstance(model, AutoEncoder)
        return model

    def _parts(self) -> tuple[MixtureHead, Posterior]:
        cluster, posterior = self.model.heads["cluster"], self.model.heads["posterior"]
        assert isinstance(cluster, MixtureHead)
        assert isinstance(posterior, Posterior)
        return cluster, posterior


def stages(config: StagesConfig, shapes: Shapes) -> list[Stage]:
    """Returns the auto-encoder and VaDE.

    Raises:
        ValueError: DATA are features, or --init is given: there would be no decoder.
    """
    first = config.vade
    if not isinstance(shapes, PointDataset):
        raise ValueError(f"{first.dataset} holds features, and vade decodes shapes: give these")
    if first.init is not None:
        raise ValueError("vade begins with its own auto-encoder: leave --init out")
    encoder = {"model": first.model, "model_kwargs": first.model_kwargs}
    before = of_stage(first, config.autoencoder, 1, **encoder)
    return [
        Stage("autoencoder", lambda *given: AutoEncode(before, *given), before.epochs),
        Stage("vade", lambda *given: VaDE(first, *given), first.epochs),
    ]


RECIPE = Recipe(
    about="""Fits a mixture of Gaussians to what a variational auto-encoder embeds (VaDE).

    An auto-encoder embeds shapes in few numbers; the mixture, encoder and decoder then learn
    together to make the shapes likely.
    """,
    config=StagesConfig,
    stages=stages,
    presets={
        "rotation-invariant": {"vade": {"model": "clusternet"}},
        "jiang2017": {
            "autoencoder": {"epochs": 300},
            "vade": {"epochs": 300, "learning_rate": 2e-3, "batch_size": 100},
        },
    },
    data=lambda config: config.vade,
)
