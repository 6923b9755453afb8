import pytest

from pcclust.distributed.draws import uniforms


def test_numbers_belong_to_rows_and_keys():
    whole = uniforms(0, 4000, 5, 1)
    assert 0 <= whole.min() <= whole.max() < 1
    assert abs(whole.mean() - 0.5) < 0.03
    for first, count in ((0, 1), (4, 100), (2048, 1952), (3996, 4)):
        assert (uniforms(first, count, 5, 1) == whole[first : first + count]).all()
    for keys in ((5, 2), (6, 1), (5,), (5, 1, 0)):
        assert not (uniforms(0, 100, *keys) == whole[:100]).any()


def test_only_rows_at_which_the_counter_moves():
    with pytest.raises(ValueError, match="first=6 must be a multiple of 4"):
        uniforms(6, 1, 0)
