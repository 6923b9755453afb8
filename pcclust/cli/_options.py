"""What options are for, and what those that several commands have mean: said here once."""

from pcclust.nn.weights_source import HUB

# The options of a command, by what they are for, in this order; what a method adds comes first.
OWN = "method"
GROUPS = {
    "data": (
        "dataset", "split", "classes", "limit", "num_points", "normalize", "raw", "rotate",
        "up_axis", "test", "train_data", "train_limit", "val_fraction", "per_class", "data", "root",
        "shapes", "max_points",
    ),
    "model": ("model", "model_kwargs", "weights", "init", "layout"),
    "features": ("k",),
    "clusters": ("clusters", "num_clusters", "method", "seeds", "whiten", "l2"),
    "rotations": ("features", "trained", "rotations", "sampler", "tilts", "tilt_shapes"),
    "classifiers": (
        "azimuths", "neighbors", "temperature", "landmarks", "components", "label_fractions",
        "repeats",
    ),
    "views": (
        "rotation", "jitter", "max_scale", "stretch", "tilt", "max_shift", "crop", "view_points",
    ),
    "training": (
        "epochs", "optimizer", "learning_rate", "weight_decay", "warmup_epochs", "schedule",
        "clip_norm", "label_smoothing", "accumulate",
    ),
    "output": ("out", "format", "color", "points", "report", "private", "message"),
    "shards": ("shards", "shard", "dtype", "engine", "address", "gpus"),
    "run": (
        "resume", "seed", "batch_size", "device", "workers", "minutes", "config", "preset",
        "logger", "tensorboard", "precision", "log_every", "checkpoint_minutes", "offline",
    ),
}  # fmt: skip
GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}
# A batch of a training is a setting of it; elsewhere it changes nothing but memory.
TRAINING_GROUP_OF = GROUP_OF | {"batch_size": "training"}

# What no command can do with less of.
LEAST = {"seed": 0, "limit": 1, "train_limit": 1, "num_points": 1, "batch_size": 1, "k": 1}

TRAINED = (
    "a name of weights that come with pcclust, the folder of a run, a .safetensors file with its "
    f"card, or {HUB}OWNER/REPOSITORY[@REVISION]"
)
CODE = "file.py:Name or package.module:Name of your own"
# The help of an option, whichever command has it.
SAID = {
    "resume": "go on where an interrupted run of the same settings stopped, or begin where there "
    "is none.",
    "seed": "of everything that is random, from 0 on.",
    "limit": "so many shapes at most, drawn by the seed; of each class its share where labels are "
    "read. By default all.",
    "weights": f"trained weights: {TRAINED}; for a model of your own also .pt of tensors alone.",
    "init": f"weights to begin with: {TRAINED}. They bring the model; by default it is untrained.",
    "shards": "write a folder of Parquet files instead, so many (400) or so large (64MB): --out is "
    "a folder here or in a store (s3://…), and the paths may be URLs, too. Any number of processes "
    "with the same command share the work, and the same command goes on with what is there.",
    "shard": "a part of the shards alone, with 17/400 the 17th of 400, as a task of an array.",
    "dtype": "of the features in shards; float16 halves them.",
    "engine": '"ray" lets a Ray cluster describe the shards, "processes" this process.',
    "address": "of the Ray cluster; by default one is started on this machine.",
    "gpus": "of each worker of Ray, also a fraction: 0.25 lets four share a GPU.",
    "device": "where the model runs, e.g. cuda; by default where it is.",
    "layout": 'what the model takes, (B, N, 3) or (B, 3, N); "auto" tries the two.',
}
