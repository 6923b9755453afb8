"""A method that trains in milliseconds, and a command that trains it, to be killed."""

import json
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from pcclust.data import PointDataset, PointLoader
from pcclust.data.transforms import Jitter
from pcclust.training import Callback, Method, RunFolder, TrainingConfig, fit
from pcclust.training.run_folder import METRICS

SHAPES = 24
SETTINGS = {"epochs": 3, "batch_size": 4, "log_every": 2, "workers": 1}


class TinyConfig(TrainingConfig):
    method = "tiny"


class TinyNet(nn.Module):
    """Everything that a resumed run has to bring back: running statistics and dropout."""

    def __init__(self, norm=True):
        super().__init__()
        self.out_channels = 8
        self.layer = nn.Linear(3, 8)
        self.norm = nn.BatchNorm1d(8) if norm else nn.Identity()
        self.dropout = nn.Dropout(0.3 if norm else 0.0)
        self.head = nn.Linear(8, 2)

    def forward(self, points):
        return self.head(self.dropout(F.relu(self.norm(self.layer(points).amax(dim=1)))))


class TinyMethod(Method):
    def __init__(self, *, norm=True, shapes=None, **settings):
        self.config = TinyConfig(**(SETTINGS | settings))
        with torch.random.fork_rng():
            torch.manual_seed(self.config.seed)
            self.model = TinyNet(norm)
            points, labels = torch.randn(SHAPES, 10, 3), torch.arange(SHAPES) % 2
        points[labels == 1] *= 2
        dataset = PointDataset(
            points if shapes is None else shapes, labels, class_names=["small", "large"]
        )
        self.loader = PointLoader(
            dataset,
            self.config.batch_size,
            seed=self.config.seed,
            transform=Jitter(),
            drop_last=True,
            workers=self.config.workers,
        )
        self.steps_per_epoch = len(self.loader)
        self.data_sha256 = "0" * 64
        self.losses = []

    def batches(self, epoch, start):
        for batch in self.loader.epoch(epoch, start):
            yield batch.points, batch.labels

    def loss(self, model, batch):
        points, labels = batch
        loss = F.cross_entropy(model(points), labels)
        self.losses.append(loss.detach().clone())
        return {"loss": loss, "fraction": labels.float().mean()}

    def evaluate(self):
        return {"val_loss": float(self.model(self.loader.dataset.points).square().mean())}

    def finish(self):
        return {"test_loss": 0.5}

    def saved(self):
        return self.model, {"model": "tiny", "model_kwargs": {}, "class_names": []}


def log(folder):
    """The log without the time that things took."""
    lines = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


class Slow(Callback):
    """Gives a killer time: an announcement, and then a pause after each step."""

    def started(self, method, position):
        print("started", position.epoch, position.batch, flush=True)

    def stepped(self, step):
        time.sleep(0.02)


if __name__ == "__main__":
    folder, epochs, minutes, norm, *batch_size = sys.argv[1:]
    settings = {"epochs": int(epochs), "checkpoint_minutes": float(minutes), "seed": 3}
    settings["batch_size"] = int(batch_size[0]) if batch_size else SETTINGS["batch_size"]
    method = TinyMethod(norm=norm == "norm", **settings)
    outcome = fit(method, RunFolder(Path(folder)), resume=True, callbacks=[Slow()])
    print(outcome, flush=True)
