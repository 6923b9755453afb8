"""A pipeline that runs in seconds, and a command that runs it slowly enough to be killed."""

import sys
import time
from pathlib import Path

from pcclust.methods.contrastnet import ContrastNetConfig
from pcclust.methods.contrastnet_pipeline import PipelineConfig
from pcclust.methods.contrastnet_presets import RECIPE
from pcclust.methods.pipeline import Pipeline
from pcclust.methods.pseudo_label_network import PseudoLabelConfig
from pcclust.training import Callback

ENCODER = {
    "epochs": 2,
    "batch_size": 6,
    "model": "dgcnn",
    "model_kwargs": {"k": 4, "channels": [8], "embedding": 16},
}
FIRST = {"num_points": 48, "num_planes": 4, "workers": 1}


def tiny_config(dataset, network=None, first=None, **settings):
    contrastnet = ContrastNetConfig(dataset=str(dataset), **(ENCODER | FIRST | (first or {})))
    return PipelineConfig(
        contrastnet=contrastnet,
        network=PseudoLabelConfig(**(ENCODER | (network or {}))),
        **({"clusters": 5, "rounds": 2, "whiten": 4, "l2": True} | settings),
    )


class Slow(Callback):
    """Announces and delays every step and every batch of features."""

    def preparing(self, what, done, total):
        print(what, done, flush=True)
        time.sleep(0.1)

    def started(self, method, position):
        print(method.config.method, position.epoch, position.batch, flush=True)

    def stepped(self, step):
        time.sleep(0.05)


if __name__ == "__main__":
    dataset, out = sys.argv[1:]
    config = tiny_config(dataset, first={"checkpoint_minutes": 0.0001})
    pipeline = Pipeline(RECIPE, config, Path(out), resume=True, callbacks=[Slow()], tell=print)
    print(pipeline.run(), flush=True)
