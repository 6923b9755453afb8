"""PCL: views of a shape are alike, and like the clusters that their shape is in."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcclust.cluster import KMeans
from pcclust.data.seeding import seeded_generator
from pcclust.losses import nt_xent, prototype_contrast
from pcclust.methods.pretext import Pretext, PretextConfig, Views
from pcclust.methods.stages import Recipe, Shapes, Stage
from pcclust.nn.projector import Projector
from pcclust.training import Progress
from pcclust.training.processes import gathered

KMEANS = 2  # a use of the seed
ITERATIONS = 25  # of k-means, whose result serves an epoch
LEAST_SIZE = 2  # shapes of a cluster, in the mean


@dataclass(frozen=True, kw_only=True)
class PCLConfig(PretextConfig):
    """How views are contrasted with each other and with clusters.

    Attributes:
        hidden: channels of the projector, between its two layers.
        projection: channels in which views are contrasted.
        temperature: of views; the lower, the more the most similar other shapes count.
        prototypes: into how many clusters shapes are put, each number for itself; those of which a
            cluster would have fewer than two shapes in the mean are left out.
        prototype_temperature: of prototypes.
        prototypes_from: epochs before there are clusters; at least one.
    """

    hidden: int = 1024
    projection: int = 128
    temperature: float = 0.2
    prototypes: tuple[int, ...] = (100, 300, 1000)
    prototype_temperature: float = 0.1
    prototypes_from: int = 3
    epochs: int = 60
    batch_size: int = 128

    method: ClassVar[str] = "pcl"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (
            "hidden", "projection", "temperature", "prototype_temperature", "prototypes_from",
        ):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")
        object.__setattr__(self, "prototypes", tuple(self.prototypes))  # YAML has lists
        for count in self.prototypes:
            if count < 2:
                raise ValueError(f"prototypes={count} must be at least 2")


class PCL(Pretext):
    """Contrasts two views of each shape with those of others, and with centres of clusters.

    The last projections of all shapes are kept, and clustered by k-means before each epoch, into
    several numbers of clusters; both views of a shape are to name its cluster among all of them, as
    well as each other among the other views of the batch. What is saved is the encoder.

    What differs from the paper: NT-Xent within the batch in place of a queue and a momentum
    encoder, whose features are clustered there; one temperature for all clusters; all clusters
    count as negatives (our choices).

    Source: Li et al., "Prototypical Contrastive Learning of Unsupervised Representations" (2021).
    """

    config: PCLConfig

    def __init__(self, *given: Any) -> None:  # noqa: ANN401
        super().__init__(*given)
        self._seen: list[tuple[Tensor, Tensor]] = []  # the parts of a step

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns the projector."""
        config = self.config
        return {"projector": Projector(width, config.hidden, config.projection, norm=True)}

    def buffers(self, width: int) -> dict[str, Tensor]:
        """Returns the last projections of all shapes, and the clusters by their number."""
        count, channels = len(self.shapes), self.config.projection
        found = {"projections": torch.zeros(count, channels)}
        for number in self.counts:
            found[f"labels{number}"] = torch.zeros(count, dtype=torch.int64)
            found[f"prototypes{number}"] = torch.zeros(number, channels)
        return found

    @property
    def counts(self) -> list[int]:
        """The numbers of clusters for which there are shapes enough."""
        return [n for n in self.config.prototypes if LEAST_SIZE * n <= len(self.shapes)]

    def describe(self) -> list[str]:
        """Returns what is trained on what, and which numbers of clusters are left out."""
        left_out = [n for n in self.config.prototypes if n not in self.counts]
        note = f"too few shapes for prototypes {', '.join(map(str, left_out))}: left out"
        return [*super().describe(), *([note] if left_out else [])]

    def begin_epoch(self, epoch: int, progress: Progress) -> Iterable[nn.Parameter]:
        """Clusters the last projections."""
        if epoch < self.config.prototypes_from:
            return ()
        rows = self._buffer("projections").cpu()
        for done, number in enumerate(self.counts):
            progress("clusters", done, len(self.counts))
            generator = seeded_generator(self.config.seed, epoch, number, 0, KMEANS)
            kmeans = KMeans(number, n_init=1, max_iter=ITERATIONS, random_state=generator).fit(rows)
            self._buffer(f"labels{number}").copy_(kmeans.labels_)
            self._buffer(f"prototypes{number}").copy_(F.normalize(kmeans.cluster_centers_, dim=1))
        return ()

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns NT-Xent of both views and, where there are clusters, their contrast."""
        config = self.config
        z1, z2 = self.outputs(model, batch)["projector"].unbind(dim=1)
        mean = F.normalize(z1.detach().float(), dim=1) + F.normalize(z2.detach().float(), dim=1)
        self._seen.append((batch.indices, F.normalize(mean, dim=1)))
        instance = nt_xent(z1, z2, config.temperature)
        contrasts = [
            prototype_contrast(
                torch.cat([z1, z2]),
                self._buffer(f"prototypes{number}"),
                self._buffer(f"labels{number}")[batch.indices].repeat(2),
                config.prototype_temperature,
            )
            for number in self.counts
            if bool(self._buffer(f"prototypes{number}").any())
        ]
        if not contrasts:
            return {"loss": instance, "instance": instance}
        clusters = torch.stack(contrasts).mean()
        return {"loss": instance + clusters, "instance": instance, "clusters": clusters}

    def after_step(self) -> None:
        """Keeps what the step has projected, in all processes."""
        indices, projections = map(torch.cat, zip(*self._seen, strict=True))
        self._seen.clear()
        self._buffer("projections")[gathered(indices)] = gathered(projections)


def stages(config: PCLConfig, shapes: Shapes) -> list[Stage]:
    """Returns the only stage."""
    return [Stage("pcl", lambda *given: PCL(config, *given), config.epochs)]


RECIPE = Recipe(
    about="""Learns an encoder by contrasting views with one another and clusters (PCL).

    It makes features, not clusters: for pcclust cluster, or --init of other methods. The preset
    "rotation-invariant" learns from principal poses, stretched, tilted and cropped; what it saves
    is asked about all of them (see pcclust.nn.CanonicalPose), so that no rotation changes it.
    """,
    config=PCLConfig,
    stages=stages,
    presets={
        "rotation-invariant": {
            "model": "canonical-pose",
            "model_kwargs": {
                "backbone": "clusternet",
                "model_kwargs": {"coordinates": True},
                "size": 0.6,
            },
            "posed": True,
            "max_scale": 1.5,
            "tilt": 0.1,
            "crop": 0.6,
            "view_points": 512,
            "learning_rate": 1.5e-3,
            "schedule": "trapezoid",
        },
        "li2021": {
            "temperature": 0.1,
            "optimizer": "sgd",
            "learning_rate": 0.03,
            "epochs": 200,
            "batch_size": 256,
            "prototypes_from": 20,
        },
    },
)
