"""How shapes are grouped."""

import numpy as np
import pytest

from pcclust.data.shape_source import in_fixed_batches
from pcclust.data.streaming import NamedCloud, ReadFailure

NAMES = [f"s{i}" for i in range(11)]


def results(left_out=(), broken=()):
    for name in NAMES:
        if name in broken:
            yield ReadFailure(name, "why")
        elif name not in left_out:
            yield NamedCloud(name, np.zeros((1, 3)))


def grouped(*given):
    batches = in_fixed_batches(results(*given), NAMES, 4)
    return [([s.name for s in shapes], [f.name for f in failures]) for shapes, failures in batches]


def test_a_shape_has_the_company_of_its_place_whatever_is_broken_or_left_out():
    whole = [NAMES[:4], NAMES[4:8], NAMES[8:]]
    assert grouped() == [(names, []) for names in whole]
    assert grouped((), ("s1", "s7")) == [
        (["s0", "s2", "s3"], ["s1"]),
        (["s4", "s5", "s6"], ["s7"]),
        (whole[2], []),
    ]
    assert grouped(NAMES[:4]) == [(names, []) for names in whole[1:]]
    assert grouped(NAMES[1:4], NAMES[:1]) == [([], ["s0"]), (whole[1], []), (whole[2], [])]


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(ValueError, match="batch_size=0 must be at least 1"):
        list(in_fixed_batches(results(), NAMES, 0))
