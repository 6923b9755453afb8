"""The part `threads`: every operator gives on several threads the bits that it gives on one.

Under ThreadSanitizer (`make test-tsan`) a race between them is a crash as well.
"""

from itertools import zip_longest
from typing import Any

import torch

from tests.fuzz.children import make_trials, run_children
from tests.fuzz.figures import Figures

THREADS = 4
# Of a call clouds have up to 40 points and as many more, so that threads share them.
SCALES = (1, 20, 60)
CALLS_PER_TRIAL = 25  # of `amount`


def run(seed: int, amount: int) -> Figures:
    figures = run_children("tests.fuzz.threads", seed, seed + amount // CALLS_PER_TRIAL)
    figures.more = f"{THREADS} threads against one, clouds of up to {40 * max(SCALES):,} points"
    return figures


def trial(number: int) -> str | None:
    from tests.fuzz.calls import OPERATORS, Draw, right_call
    from tests.fuzz.judge import outcome

    draw, names = Draw(number), sorted(OPERATORS)
    draw.scale = SCALES[number // len(names) % len(SCALES)]
    torch.set_num_threads(1)
    call = right_call(draw, names[number % len(names)])
    one = outcome(*call)
    torch.set_num_threads(THREADS)
    several = outcome(*call)
    return None if alike(one, several) else f"{call[0]}: {THREADS} threads give something else"


def alike(one: Any, several: Any) -> bool:
    """Returns whether two outcomes are the same bits; no right call is refused."""
    if isinstance(one, Exception) or isinstance(several, Exception):
        return False
    return all(
        a is not None and b is not None and torch.equal(a.view(torch.uint8), b.view(torch.uint8))
        for a, b in zip_longest(one, several)
    )


if __name__ == "__main__":
    make_trials(trial)
