"""The rows of the leaderboard of clusterings, and their settings."""

from dataclasses import dataclass, field
from typing import Any

from pcclust.nn.weights_source import DEFAULT

# The 30 classes of ModelNet40 that ModelNet10 lacks: there it is seen what helps k-means.
OTHERS = "modelnet30"
TEN, BOTH = ("modelnet10",), ("modelnet10", "modelnet40")


@dataclass(frozen=True)
class Row:
    """A line of the leaderboard.

    Attributes:
        name: of its reports.
        title: what the page calls it.
        seeds: how many.
        method: of `METHODS` or of `pcclust.methods.METHODS`.
        settings: of a method of the latter; of the former, ``whiten``, to how many components
            features are whitened and then brought to length one.
        encoder: whose features are clustered, or begun with.
        datasets: on which it is run.
        shapes: whether an encoder is trained on shapes, beside heads.
        then: of `METHODS`, what clusters the features of an encoder whose own method does not.
    """

    name: str
    title: str
    seeds: int
    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    encoder: str = DEFAULT
    datasets: tuple[str, ...] = BOTH
    shapes: bool = False
    then: str | None = None


def _nested(name: str, **settings: object) -> dict[str, Any]:
    return {name: settings}


# Fewer and smaller heads than in the paper, on principal components: minutes of a core, not hours.
TEMI_SETTINGS = {
    "heads": 4,
    "hidden": 256,
    "bottleneck": 64,
    "components": 64,
    "batch_size": 256,
    "neighbors": 20,
    "epochs": 50,
    "momentum": 0.99,
}
# An encoder that is trained sees fewer points and epochs than it deserves: hours are not at hand.
FINE = {"num_points": 256, "epochs": 3, "batch_size": 64, "learning_rate": 1e-4}
# Views as the preset of PCL has them, but as shapes stand: nothing is turned or tilted.
STANDING = {
    "model": "dgcnn",
    "model_kwargs": {"k": 10, "channels": [32, 32, 64, 128], "embedding": 256},
    "num_points": 256,
    "epochs": 30,
    "rotation": "none",
    "max_scale": 1.5,
    "crop": 0.6,
}
ROWS = (
    Row("kmeans", "k-means", 5, "kmeans", datasets=(OTHERS, *BOTH)),
    Row("whitened", "k-means, whitened", 5, "kmeans", {"whiten": 64}, datasets=(OTHERS,)),
    Row("self-tuning", "self-tuning spectral", 5, "self-tuning", datasets=(OTHERS, *BOTH)),
    Row("ward", "Ward", 1, "ward"),
    Row("spectral", "spectral", 5, "spectral"),
    Row("gmm", "Gaussian mixture", 5, "gmm"),
    Row("hdbscan", "HDBSCAN", 1, "hdbscan"),
    Row("scan", "SCAN", 5, "scan", _nested("scan", learning_rate=1e-3)),
    Row("dec", "DEC", 5, "dec", _nested("dec", epochs=20)),
    Row("temi", "TEMI", 5, "temi", TEMI_SETTINGS),
    Row("spice", "SPICE-Self", 5, "spice", _nested("spice", heads=2, epochs=6)),
    *(
        Row(name, f"{title}, fine-tuned", 3, name, settings, datasets=TEN, shapes=True)
        for name, title, settings in (
            ("pica", "PICA", FINE),
            ("cc", "CC", FINE),
            ("htcn", "HTCN", FINE),
            ("deepcluster", "DeepCluster", FINE),
        )
    ),
    Row(
        "vade",
        "VaDE, from scratch",
        3,
        "vade",
        {"vade": FINE, "autoencoder": {"epochs": 5, "batch_size": 64}},
        encoder="",
        datasets=TEN,
        shapes=True,
    ),
    Row(
        "dgcnn-simclr",
        "k-means, DGCNN by SimCLR of upright shapes",
        3,
        "simclr",
        STANDING,
        encoder="",
        datasets=TEN,
        shapes=True,
        then="kmeans",
    ),
)
