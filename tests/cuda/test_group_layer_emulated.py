"""The CUDA kernels of `group_max` and `group_moments`, emulated, against the torch twins."""

import pytest
import torch
from torch import Tensor

from pcclust.ops.group_max import _group_max_backward_torch, _group_max_torch
from pcclust.ops.group_moments import _group_moments_backward_torch, _group_moments_torch

pytestmark = pytest.mark.emulated

NOTHING_WRONG = [-1]
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}
SLOPE = 0.2


def layers(
    groups: int, k: int, inputs: int, hidden: int, channels: int, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Returns random groups and the weights of two layers."""
    generator = torch.Generator().manual_seed(k)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return {
        "features": drawn(groups, k, inputs),
        "weight": drawn(hidden, inputs),
        "bias": drawn(hidden),
        "out_weight": drawn(channels, hidden),
    }


def assert_near(found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    assert torch.allclose(found, expected, rtol=0, atol=tolerance * scale)


SHAPES = [
    (7, 20, 4, 32, 70),
    (3, 1, 4, 4, 4),
    (1, 150, 3, 33, 5),
    (2, 100, 9, 5, 65),
    (70, 2, 1, 8, 3),
    (19, 110, 2, 3, 4),  # more tiles of a block than are summed in working precision
    (0, 5, 4, 6, 7),
]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("groups", "k", "inputs", "hidden", "channels"), SHAPES)
def test_group_max(emulate, groups, k, inputs, hidden, channels, dtype):
    given = layers(groups, k, inputs, hidden, channels, dtype)
    found = emulate("group_max", **given, slope=SLOPE)
    maxima, argmax = _group_max_torch(*given.values(), SLOPE)
    assert_near(found["maxima"], maxima, TOLERANCES[dtype])
    assert torch.equal(found["argmax"], argmax)
    pulls = torch.randn(groups, channels, dtype=dtype)
    wanted = groups % 2 == 1
    expected = _group_max_backward_torch(pulls, argmax, *given.values(), SLOPE, wanted)
    backward = {"argmax": argmax, "max_gradient": pulls, "wanted": int(wanted)}
    found = emulate("group_max_backward", **given, **backward, slope=SLOPE)
    assert found["refusal"].tolist() == NOTHING_WRONG
    names = ("features", "weight", "bias", "out_weight")
    for name, tensor in list(zip(names, expected, strict=True))[not wanted :]:
        assert_near(found[name], tensor, TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("groups", "k", "inputs", "hidden", "channels"), SHAPES)
def test_group_moments(emulate, groups, k, inputs, hidden, channels, dtype):
    *first, _ = layers(groups, k, inputs, hidden, channels, dtype).items()
    given = dict(first)
    # In float64, since the twin sums in working precision.
    doubles = [tensor.double() for tensor in given.values()]
    found = emulate("group_moments", **given, slope=SLOPE)
    total, products = _group_moments_torch(*doubles, SLOPE)
    assert_near(found["total"], total, TOLERANCES[dtype])
    assert_near(found["products"], products, TOLERANCES[dtype])
    pulls = {"total_gradient": torch.randn_like(total)}
    pulls["products_gradient"] = torch.randn_like(products)
    wanted = groups % 2 == 1
    expected = _group_moments_backward_torch(*pulls.values(), *doubles, SLOPE, wanted)
    found = emulate("group_moments_backward", **given, **pulls, wanted=int(wanted), slope=SLOPE)
    for name, tensor in list(zip(("features", "weight", "bias"), expected, strict=True)):
        if name in found:
            assert_near(found[name], tensor.to(dtype), TOLERANCES[dtype])
    assert ("features" in found) == wanted


@pytest.mark.parametrize("k", [5, 150])
def test_the_first_of_equals_counts_and_nan_is_largest(emulate, k):
    given = layers(4, k, 4, 8, 3, torch.float32)
    given["features"][0] = given["features"][0, 0]
    given["features"][1, 3:] = given["features"][1, 3]
    given["features"][2, k - 1] = given["features"][2, k - 2] = torch.nan
    found = emulate("group_max", **given, slope=SLOPE)
    _, argmax = _group_max_torch(*given.values(), SLOPE)
    assert argmax[0].tolist() == [0, 0, 0]
    assert argmax[2].tolist() == [k - 2] * 3
    assert torch.equal(found["argmax"], argmax)
    assert found["maxima"].isnan().nonzero()[:, 0].tolist() == [2, 2, 2]


def test_members_that_a_group_does_not_have_are_refused(emulate):
    given = layers(4, 5, 4, 8, 3, torch.float32)
    backward = {"argmax": torch.zeros(4, 3, dtype=torch.int32), "max_gradient": torch.ones(4, 3)}
    for wrong in (5, -1):
        backward["argmax"][2, 1] = wrong
        found = emulate("group_max_backward", **given, **backward, wanted=1, slope=SLOPE)
        assert found["refusal"].tolist() == [7]
