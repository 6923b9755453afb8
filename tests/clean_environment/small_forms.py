"""How lines of pages are made small enough for every change; all others run as they stand.

A line that no longer stands in a page is no fault here: its row is then of no use, and may go.
"""

from typing import NamedTuple


class Replaced(NamedTuple):
    """A word of a command line, what stands for it here, and why."""

    word: str
    by: str
    why: str


class Extended(NamedTuple):
    """What a command line has in it, the options that make it small, and what they save."""

    pattern: str
    options: str
    why: str


class Skipped(NamedTuple):
    """The beginning of a command line that is not run, and why."""

    beginning: str
    why: str


REPLACED = (
    Replaced("make demo", "pcclust demo --out out/demo", "make would set up another environment"),
    Replaced("data/furniture.h5", "small_data/furniture.h5", "every fifteenth shape of it"),
    Replaced("modelnet40", "small40", "it is no part of the package: bundled shapes in its layout"),
    Replaced("modelnet10", "small10", "the same"),
    Replaced("shapenetcore", "small_shapenet", "the same, in the layout of ShapeNetCore"),
    Replaced("5-20", "2-6", "there are 23 shapes"),
    Replaced("RUN", "pcclust.nn:ClusterNet", "it stands for any model; this is the README's own"),
)
EXTENDED = (
    Extended("^pcclust demo", "--data small_data", "minutes: it turns every shape many times"),
    Extended("train small", "--epochs 1 --num-points 128 --batch-size 8", "an hour"),
    Extended("pretrain .* (small|shapenet)", "--epochs 1 --num-points 128 --batch-size 8", "hours"),
    Extended("pretrain contrastnet", "--rounds 1 --clusters 4", "hours: a small network a round"),
    Extended("pretrain contrastnet", "--network.epochs 1 --network.batch-size 8", "the same"),
    Extended("pretrain temi", "--clusters 4 --least-steps 10", "minutes"),
    Extended("evaluate linear .*(small|shapenet)", "--num-points 128 --limit 20", "an hour"),
    Extended("evaluate (rotation|corruption) .*small", "--limit 20", "the same"),
    Extended("evaluate (rotation|linear)", "--rotations 1", "four fifths of the clouds"),
    Extended(
        "evaluate linear",
        "--landmarks 0 --components 4 --label-fractions 0.5 --repeats 1",
        "classifiers",
    ),
)
SKIPPED = (
    Skipped("make", "CI runs the targets themselves, beside this check"),
    Skipped("git clone", "the clone is here"),
    Skipped("cd ", "the check has a folder of its own"),
    Skipped("pip install", "the wheel is installed, and the extras when their turn comes"),
)
