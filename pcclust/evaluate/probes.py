"""Which classifiers are trained on fixed features, and how."""

from dataclasses import asdict, dataclass

from torch import Tensor

from pcclust.data.splits import few_labels

# By training orientation, the test orientations that follow. Published linear probes are upright.
PROTOCOLS: dict[str, tuple[str, ...]] = {
    "upright": ("upright",),
    "z": ("z", "SO3"),
    "SO3": ("SO3",),
}


@dataclass(frozen=True)
class Probes:
    """How features are probed.

    Attributes:
        azimuths: 0, or how many angles about the up axis `RBFClassifier` is averaged over where all
            shapes are upright; ContrastNet's script has 12.
        neighbors: k of `WeightedKNN`.
        temperature: τ of `WeightedKNN`.
        landmarks: of the kernel map of `KernelProbe`, which says what None is; 0 leaves it out.
        components: of the spectral map of `GraphFeatures`; 0 leaves it out.
        label_fractions: of the training labels that a linear classifier gets; none if empty.
        repeats: how often each fraction is drawn.

    Raises:
        ValueError: a number that cannot be.

    Example:
        >>> Probes(azimuths=12).classifiers, Probes(label_fractions=()).classifiers
        (119, 12)
        >>> Probes(azimuths=12).clouds(shapes=10, learned=100, rotations=5)
        1620
    """

    azimuths: int = 0
    neighbors: int = 20
    temperature: float = 0.07
    landmarks: int | None = None
    components: int = 40
    label_fractions: tuple[float, ...] = (0.01, 0.05, 0.2)
    repeats: int = 5

    def __post_init__(self) -> None:
        if self.azimuths < 0:
            raise ValueError(f"azimuths={self.azimuths} must not be negative; ContrastNet has 12")
        if self.landmarks is not None and self.landmarks < 0:
            raise ValueError(f"landmarks={self.landmarks} must not be negative; 0 is none")
        if self.components < 0:
            raise ValueError(f"components={self.components} must not be negative; 0 is none")
        if self.neighbors < 1 or not self.temperature > 0:
            raise ValueError(
                f"neighbors={self.neighbors} and temperature={self.temperature} must be positive"
            )
        wrong = [fraction for fraction in self.label_fractions if not 0 < fraction < 1]
        if wrong:
            raise ValueError(
                f"a fraction of {wrong[0]:g} of the labels must be between 0 and 1: 0.01 is 1 %"
            )
        if self.repeats < 1:
            raise ValueError(f"repeats={self.repeats} must be at least 1; 5 or more tell much")

    @property
    def orientations(self) -> tuple[str, ...]:
        """The orientations that classifiers are trained in."""
        return tuple(PROTOCOLS)[0 if self.azimuths else 1 :]

    @property
    def classifiers(self) -> int:
        """How many classifiers are trained."""
        graph, few = self.components > 0, self.repeats * len(self.label_fractions)
        each = 4 + (self.landmarks != 0) + graph + few * (1 + graph)
        return each * len(self.orientations) + max(self.azimuths - 1, 0)

    def clouds(self, shapes: int, learned: int, rotations: int) -> int:
        """Returns of how many clouds the model is asked.

        Training shapes are shown in one turn about the up axis and one in space, test shapes in
        ``rotations`` of each; all of them once more for each vote.

        Args:
            shapes: to test.
            learned: to train with.
            rotations: of each test shape.
        """
        return 2 * (learned + rotations * shapes) + self.azimuths * (learned + shapes)

    def drawn(self, labels: Tensor, seed: int) -> dict[float, list[Tensor]]:
        """Returns by fraction the training shapes that keep their label, in every repeat."""
        return {
            fraction: [
                few_labels(labels, fraction, repeat=repeat, seed=seed)
                for repeat in range(self.repeats)
            ]
            for fraction in self.label_fractions
        }

    def told(self) -> dict[str, int | float | str]:
        """Returns the settings by name."""
        fractions = ", ".join(f"{fraction:g}" for fraction in self.label_fractions)
        told = {**asdict(self), "label_fractions": fractions or "none"}
        return told | ({"landmarks": "all, or some of many"} if self.landmarks is None else {})
