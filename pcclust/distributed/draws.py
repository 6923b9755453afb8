"""Random numbers of rows that follow from the row's number alone."""

import numpy as np
import torch
from numpy.random import Generator, Philox, SeedSequence
from torch import Tensor

GROUP = 4  # numbers that one step of Philox's counter gives


def uniforms(first: int, count: int, *keys: int) -> Tensor:
    """Returns the random numbers in [0, 1) of rows, whichever other rows are asked about.

    Philox is a cipher of a counter (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3,
    2011): row i has the number that the counter i has, in any process and any order.

    Args:
        first: the first row; a multiple of 4.
        count: rows.
        keys: what the numbers are for, e.g. a seed and a round.

    Returns:
        ``(count,)`` float64.

    Raises:
        ValueError: the first row is no multiple of 4.

    Example:
        >>> from pcclust.distributed.draws import uniforms
        >>> bool((uniforms(0, 12, 7)[8:] == uniforms(8, 4, 7)).all())
        True
    """
    if first % GROUP:
        raise ValueError(f"first={first} must be a multiple of {GROUP}")
    key = SeedSequence((len(keys), *keys)).generate_state(2, np.uint64)
    generator = Generator(Philox(key=key, counter=first // GROUP))
    return torch.from_numpy(generator.random(count))
