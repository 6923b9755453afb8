"""Any model must be asked in its own layout, and told plainly what is wrong with its answers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pcclust.evaluate.forward import Predictor, batches

SAMPLE = torch.rand(3, 20, 3)


def test_both_layouts_are_found_by_trial():
    rows = Predictor(
        nn.Sequential(nn.Linear(3, 5), nn.AdaptiveMaxPool2d((1, 5)), nn.Flatten()), SAMPLE
    )
    columns = Predictor(
        nn.Sequential(nn.Conv1d(3, 5, 1), nn.AdaptiveMaxPool1d(1), nn.Flatten()), SAMPLE
    )
    assert (rows.layout, columns.layout) == ("BN3", "B3N")
    assert rows.num_outputs == columns.num_outputs == 5
    assert rows(SAMPLE).shape == columns(SAMPLE).shape == (3, 5)


def test_the_clouds_arrive_as_they_are():
    seen = []
    Predictor(lambda clouds: seen.append(clouds) or clouds.mean(1), SAMPLE, layout="BN3")(SAMPLE)
    assert torch.equal(seen[-1], SAMPLE)
    Predictor(lambda clouds: seen.append(clouds) or clouds.mean(2), SAMPLE, layout="B3N")(SAMPLE)
    assert torch.equal(seen[-1], SAMPLE.mT)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda out: (out, torch.zeros(3, 3)),
        lambda out: [out],
        lambda out: out.numpy(),
        lambda out: out.double(),
        lambda out: out.bfloat16(),
    ],
)
def test_tuples_arrays_and_other_dtypes_are_taken(wrap):
    answer = Predictor(lambda clouds: wrap(clouds.mean(dim=1)), SAMPLE)(SAMPLE)
    torch.testing.assert_close(answer, SAMPLE.mean(dim=1), atol=1e-2, rtol=0)
    assert answer.dtype == torch.float32


def test_modules_answer_in_evaluation_mode_and_keep_their_own():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(60), nn.Dropout(0.5))
    model[2].eval()
    predictor = Predictor(model, SAMPLE)
    assert torch.equal(predictor(SAMPLE), predictor(SAMPLE))
    assert not predictor(SAMPLE).requires_grad
    assert [module.training for module in model] == [True, True, False]
    assert torch.equal(model[1].running_mean, torch.zeros(60))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda c: c, r"returned \(2, 20, 3\).*\(2, 20, 3\); it must return \(2, 4\), one row"),
        (lambda c: c.mean(1), r"returned \(2, 3\) .*must return \(2, 4\): one number for each of"),
        (lambda c: c.argmax(1), r"returned torch.int64 .*floating numbers"),
        (lambda c: "yes", r"returned str"),
        (lambda c: torch.full((2, 4), torch.nan), r"returned nan in row 0 .*weights that diverged"),
        (lambda c: torch.ones(2, 4) / 0, r"returned inf in row 0"),
        (
            lambda c: c @ torch.ones(5, 5),
            r"fails on a batch \(2, 20, 3\): RuntimeError at .*py:\d+",
        ),
        (nn.Linear(7, 4), r"fails on a batch \(2, 20, 3\): RuntimeError.*\(2, 3, 20\): RuntimeErr"),
    ],
)
def test_wrong_answers_are_told_with_the_batch(model, message):
    with pytest.raises(ValueError, match=message):
        Predictor(model, SAMPLE, num_outputs=4)


def test_later_answers_are_checked_too():
    predictor = Predictor(lambda clouds: clouds[:, 0, :2] / clouds[:, 0, 2:], SAMPLE)
    with pytest.raises(
        ValueError, match=r"returned nan in row 1 for a batch \(3, 20, 3\) of tilt 3"
    ):
        predictor(SAMPLE * torch.tensor([1, 0, 1])[:, None, None], "tilt 3")


def test_a_squeezed_batch_of_one_is_explained():
    def squeezing(clouds):
        return clouds.mean(dim=1).squeeze()

    predictor = Predictor(squeezing, SAMPLE)
    with pytest.raises(ValueError, match=r"returned \(3,\).*squeeze\(\).*batch of one"):
        predictor(SAMPLE[:1])


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="got str"):
        Predictor("model", SAMPLE)
    with pytest.raises(ValueError, match="layout='N3'"):
        Predictor(lambda clouds: clouds, SAMPLE, layout="N3")
    with pytest.raises(ValueError, match="the other layout was not tried"):
        Predictor(nn.Conv1d(3, 5, 1), SAMPLE, layout="BN3")


def test_an_interruption_inside_the_model_is_none_of_its_errors():
    def interrupted(clouds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Predictor(interrupted, SAMPLE)


@given(st.integers(0, 200), st.integers(1, 40))
def test_batches_hold_every_shape_once_and_leave_none_alone(count, size):
    parts = batches(count, size)
    assert np.concatenate([[], *parts]).tolist() == list(range(count))
    sizes = [len(part) for part in parts]
    assert all(1 <= length <= size for length in sizes)
    assert count < 2 or size < 3 or min(sizes) > 1
    with pytest.raises(ValueError, match="batch_size=0"):
        batches(count, 0)
