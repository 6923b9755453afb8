"""Random streams that follow from numbers alone."""

import numpy as np
from torch import Generator


def seeded_generator(*keys: int) -> Generator:
    """Returns a generator whose stream belongs to these numbers, and to no others."""
    # With their count, since a SeedSequence does not see zeros at the end.
    state = np.random.SeedSequence((len(keys), *keys)).generate_state(1, np.uint64)
    return Generator().manual_seed(int(state[0]))
