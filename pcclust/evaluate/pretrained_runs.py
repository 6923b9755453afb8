"""Runs of deep-clustering methods, as they are compared: which are seeds of one another."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcclust.nn import Clusterer
from pcclust.nn.weights import FEATURES, load
from pcclust.training.config import TrainingConfig
from pcclust.training.run_folder import METRICS


@dataclass(frozen=True)
class PretrainedRun:
    """A run that has clusters.

    Attributes:
        name: as it was asked for.
        method: what it was trained by.
        seed: of the run.
        settings: all others that change results, by which runs are seeds of one another.
        model: the result.
        on_features: whether it was trained on features, so that it has no encoder of shapes.
        num_points: of the shapes that it was trained on; None where that is not known.
        sizes: ``(E, K)`` of its clusters after each epoch; None where the log does not tell.
    """

    name: str
    method: str
    seed: int
    settings: str
    model: Clusterer
    on_features: bool
    num_points: int | None
    sizes: NDArray[np.int64] | None


def open_run(source: str) -> PretrainedRun:
    """Opens a run.

    Args:
        source: what `pcclust.load` takes: the folder of the run, or its weights.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it has no clusters of its own.
    """
    model = load(source)
    card: dict[str, Any] = model.__dict__["card"]
    method = str(card.get("recipe", card.get("method", "a model")))
    if not isinstance(model, Clusterer):
        raise ValueError(
            f"{source} is a run of {method}, which has no clusters of its own: leave it out, or "
            f"give it as --weights and cluster its features, as by --method kmeans"
        )
    settings = json.dumps([method, _settings(card.get("pipeline", card.get("config", {})))])
    return PretrainedRun(
        source,
        method,
        int(card.get("seed", 0)),
        settings,
        model.eval(),
        card["model"] == FEATURES,
        None if card["model"] == FEATURES else card.get("num_points"),
        _sizes(Path(source), card.get("stages", ())),
    )


def _settings(config: Any) -> Any:  # noqa: ANN401 - as JSON has it
    """Returns settings, nested ones too, without the seed and what changes no result."""
    if not isinstance(config, dict):
        return config
    left_out = ("seed", *TrainingConfig.FREE)
    return {name: _settings(config[name]) for name in config if name not in left_out}


def _sizes(folder: Path, stages: list[str] | tuple[str, ...]) -> NDArray[np.int64] | None:
    """Returns the sizes of clusters that the logs of all stages tell, in their order."""
    told = []
    for log in [folder / stage / METRICS for stage in stages]:
        if log.is_file():
            lines = map(json.loads, log.read_text("utf-8").splitlines())
            told += [line["sizes"] for line in lines if "sizes" in line]
    return np.array(told, np.int64) if told else None
