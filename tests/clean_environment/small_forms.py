"""How lines of the README are made small enough for every change; all others run as they stand.

A line that no longer stands in the README is no fault here: its row is then of no use, and may go.
"""

from typing import NamedTuple


class Replaced(NamedTuple):
    """A word of a command line, what stands for it here, and why."""

    word: str
    by: str
    why: str


class Extended(NamedTuple):
    """The beginning of a command line, and the options that make it small."""

    beginning: str
    options: str


REPLACED = (
    Replaced("make demo", "pcclust demo --out out/demo", "it would set up a second environment"),
    Replaced("modelnet40", "small40", "it is no part of the package: 120 bundled shapes"),
    Replaced("modelnet10", "small10", "the same: 36 bundled shapes"),
    Replaced("RUN", "pcclust.nn:ClusterNet", "RUN stands for any model; this is the README's own"),
)
EXTENDED = (
    Extended("pcclust train small", "--epochs 1 --num-points 128 --batch-size 8"),
    Extended("pcclust pretrain contrastnet small", "--rounds 1 --clusters 4 --num-points 128"),
    Extended("pcclust pretrain contrastnet small", "--epochs 1 --batch-size 8"),
    Extended("pcclust pretrain contrastnet small", "--network.epochs 1 --network.batch-size 8"),
    Extended("pcclust evaluate", "--num-points 128"),
)
# What is not run, by its beginning, and why.
SKIPPED = {
    "make test": "this check is run beside it",
    "make bench": "it compares with other libraries, for an hour",
    "pip install": "the wheel is installed, and the extras when their turn comes",
}
