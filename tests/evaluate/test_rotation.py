"""Models whose answers follow from the rotation must get exactly the numbers that follow."""

import json

import numpy as np
import pytest
import torch

from pcclust.data import PointDataset
from pcclust.data.dataset import UP_AXES
from pcclust.evaluate import RotationReport, Rotations, rotation
from pcclust.evaluate.near_ties import find_near_ties, who_knows_near_ties
from pcclust.nn import CanonicalPose, FeatureStack, PointNet
from pcclust.report.rotation import RotationView
from tests.evaluate.known_shapes import BALL, STANDING, by_height, by_radius, rods_and_balls

NAMES = ("rod", "ball")
ROTATIONS = Rotations(rounds=6, tilts=9, seed=5)


def up_entries(rotations, up=2):
    return rotations[..., up, up].numpy()


@pytest.fixture(scope="module")
def report():
    points, labels = rods_and_balls()
    return rotation(by_height, points, labels, trained="z", rotations=ROTATIONS, class_names=NAMES)


def test_upright_and_turned_about_the_up_axis_everything_is_known(report):
    answers = report.under("z/z")
    assert (answers.mean, answers.std, answers.worst, answers.class_mean) == (1, 0, 1, 1)
    assert (answers.consistency, answers.always_right) == (1, 1)
    np.testing.assert_array_equal(report.upright["z"], report.labels)


def test_in_space_a_rod_is_known_where_it_still_is_high(report):
    rods = report.labels == STANDING
    high = 2 * np.abs(up_entries(ROTATIONS.arbitrary(len(rods)))) > 1
    answers = report.under("z/SO3")
    np.testing.assert_array_equal(answers.predictions, np.where(rods & high, STANDING, BALL))
    np.testing.assert_allclose(answers.accuracies, (high[:, rods].mean(axis=1) + 1) / 2)
    assert answers.worst == answers.accuracies.min() < answers.mean < 1
    np.testing.assert_allclose(answers.per_class, [high[:, rods].mean(), 1])
    assert answers.class_mean == pytest.approx((high[:, rods].mean() + 1) / 2)
    assert answers.always_right == pytest.approx((high[:, rods].all(axis=0).mean() + 1) / 2)
    one = high.all(axis=0) | ~high.any(axis=0)
    assert answers.consistency == pytest.approx((one[rods].mean() + 1) / 2)
    hits = int(high[:, rods].sum())
    np.testing.assert_array_equal(answers.confusion, [[hits, 90 - hits], [0, 90]])


def test_by_tilt_a_rod_is_known_below_60_and_above_120_degrees(report):
    np.testing.assert_array_equal(report.tilt_degrees, np.arange(9) * 22.5)
    known = np.abs(np.cos(np.radians(report.tilt_degrees))) > 0.5
    np.testing.assert_array_equal(report.tilt_accuracy("z"), np.where(known, 1, 0.5))


def test_some_shapes_are_tilted_and_answers_are_compared_with_their_own_labels():
    points, labels = rods_and_balls(40)
    labels = labels.sort().values  # so that the first shapes are no sample of all
    points = points[torch.argsort(torch.arange(40) % 2, stable=True)]
    rotations = Rotations(rounds=1, tilts=3, tilt_shapes=7)
    report = rotation(by_height, points, labels, rotations=rotations)
    classes = report.labels[report.tilted]
    assert 3 <= (classes == STANDING).sum() <= 4
    expected = np.stack([classes, np.full(7, BALL), classes])  # at 0°, 90° and 180°
    np.testing.assert_array_equal(report.tilt_predictions[""], expected)


def test_changes_are_relative_to_the_upright_output(report):
    upright, turned = 1.0, np.abs(up_entries(ROTATIONS.arbitrary(len(report.labels)))) * 2 - 1
    rods = report.labels == STANDING
    expected = np.abs(turned - upright)[:, rods]
    np.testing.assert_allclose(report.changes["SO3"][:, rods], expected, atol=1e-5)
    np.testing.assert_allclose(report.changes["z"][:, rods], 0, atol=1e-5)


@pytest.mark.parametrize("up_axis", UP_AXES)
def test_an_invariant_model_is_right_in_any_orientation(up_axis):
    points, labels = rods_and_balls(up=UP_AXES.index(up_axis))
    report = rotation(by_radius, points, labels, up_axis=up_axis, rotations=ROTATIONS)
    for name in ("z", "SO3"):
        answers = report.under(name)
        assert (answers.mean, answers.consistency, answers.always_right) == (1, 1, 1)
        assert report.changes[name].max() < 1e-5
    np.testing.assert_array_equal(report.tilt_accuracy(""), np.ones(9))
    assert report.failures == ()
    assert report.class_names == ("class 0", "class 1")


@pytest.mark.parametrize("up_axis", UP_AXES)
def test_z_means_the_axis_that_is_up(up_axis):
    up = UP_AXES.index(up_axis)
    points, labels = rods_and_balls(up=up)
    report = rotation(
        lambda c: by_height(c, up), points, labels, up_axis=up_axis, rotations=ROTATIONS
    )
    assert report.under("z").mean == 1
    other = UP_AXES[(up + 1) % 3]
    wrong = rotation(lambda c: by_height(c, up), points, labels, up_axis=other, rotations=ROTATIONS)
    assert wrong.under("z").mean < 1


def test_the_numbers_depend_on_the_seed_alone():
    points, labels = rods_and_balls()

    def told(batch_size=32, seed=5, **asked):
        rotations = Rotations(rounds=3, tilts=5, seed=seed)
        report = rotation(
            by_height, points, labels, rotations=rotations, batch_size=batch_size, **asked
        )
        return report.predictions["SO3"], report.tilt_predictions[""], report.changes["SO3"]

    first = told()
    for again in (told(), told(batch_size=7), told(layout="BN3"), told(names=list("a" * 30))):
        assert all(map(np.array_equal, first, again))
    assert not np.array_equal(first[0], told(seed=6)[0])


def test_numpy_and_lists_are_taken_as_torch_is():
    points, labels = rods_and_balls()
    one = rotation(by_height, points, labels, rotations=ROTATIONS)
    other = rotation(by_height, points.numpy(), labels.tolist(), rotations=ROTATIONS)
    assert one.to_json() == other.to_json()


def test_the_cost_is_what_was_said_and_every_batch_is_counted():
    points, labels = rods_and_balls()
    counts, asked = [], []

    def counting(clouds):
        asked.append(len(clouds))
        return by_height(clouds)

    rotations = Rotations(rounds=2, tilts=4, tilt_shapes=10)
    found = rotation(
        counting, points, labels, rotations=rotations, batch_size=8, advance=counts.append
    )
    assert sum(counts) == rotations.cost(30) == 30 * 5 + 3 * 10 == found.settings["clouds"]
    # Two clouds to find the layout, and a batch twice to see whether it answers the same.
    assert sum(asked) == sum(counts) + 2 + 2 * 8
    assert len(found.tilted) == 10
    without = rotation(by_height, points, labels, rotations=Rotations(rounds=2, tilts=0))
    assert without.tilt_accuracy("").size == 0
    text = RotationView(without).markdown()
    assert "tilt" not in text.replace("tilts", "").replace("tilt\\_shapes", "")


def test_failures_show_what_the_model_saw(report):
    points, _ = rods_and_balls()
    turned = ROTATIONS.arbitrary(30)
    assert 0 < len(report.failures) <= 12
    for failure in report.failures:
        shape = int(failure.name)
        assert (failure.label, failure.upright, failure.predicted) == (STANDING, STANDING, BALL)
        round_ = np.flatnonzero(report.predictions["z/SO3"][:, shape] != STANDING)[0]
        expected = points[shape].double() @ turned[round_, shape].mT
        np.testing.assert_allclose(failure.points, expected, atol=1e-5)
        np.testing.assert_array_equal(failure.height, points[shape, :, 2])
        cosine = np.cos(np.radians(failure.tilt))
        assert cosine == pytest.approx(float(turned[round_, shape, 2, 2]), abs=2e-3)


def test_failures_are_of_as_many_classes_as_possible_and_upright():
    points, _ = rods_and_balls(60)
    labels = torch.arange(60) % 20

    def always_zero(clouds):
        return torch.eye(20)[:1].repeat(len(clouds), 1)

    report = rotation(always_zero, points, labels, up_axis="y", rotations=Rotations(tilts=0))
    assert len({failure.label for failure in report.failures}) == len(report.failures) == 12
    failure = report.failures[0]  # the vertical of the page is z
    turned = points[int(failure.name)].double() @ Rotations().arbitrary(60)[0, int(failure.name)].mT
    np.testing.assert_allclose(failure.points[:, 2], turned[:, 1], atol=1e-5)


def test_json_holds_everything(report):
    again = RotationReport.from_json(report.to_json())
    assert again.to_json() == report.to_json()
    np.testing.assert_array_equal(again.predictions["z/SO3"], report.predictions["z/SO3"])
    np.testing.assert_array_equal(again.failures[0].points, report.failures[0].points)
    measures = json.loads(report.to_json())["measures"]
    assert measures["z/SO3"]["accuracy"] == report.under("z/SO3").mean
    assert measures["z/tilt"]["accuracy"] == report.tilt_accuracy("z").tolist()
    assert measures["z/upright"]["accuracy"] == 1
    for text in ("[]", "{}", '{"kind": "corruption"}'):
        with pytest.raises(ValueError, match="not a report of kind 'rotation'"):
            RotationReport.from_json(text)


def test_markdown_holds_the_measures(report):
    text = RotationView(report).markdown()
    answers = report.under("z/SO3")
    assert f"| z/SO3 | {100 * answers.mean:.1f} ± {100 * answers.std:.1f} |" in text
    assert f"| rod | 15 | 100.0 | {100 * answers.per_class[0]:.1f} |" in text
    assert "| 67° | 50.0 |" in text or "| 68° | 50.0 |" in text
    with pytest.raises(ValueError, match="no protocol 'SO3/SO3' among z/z, z/SO3"):
        report.under("SO3/SO3")


# ------------------------------------------------------------------ features
def heights(clouds):
    return (clouds[..., 2].amax(dim=1) - clouds[..., 2].amin(dim=1))[:, None]


def radii(clouds):
    return clouds.norm(dim=2).amax(dim=1)[:, None]


def test_probes_on_invariant_features_are_right_under_every_protocol():
    points, labels = rods_and_balls()
    report = rotation(radii, points, labels, train=rods_and_balls(60, seed=1), rotations=ROTATIONS)
    assert list(report.predictions) == ["z/z", "z/SO3", "SO3/z", "SO3/SO3"]
    assert all(report.under(name).mean == 1 for name in report.predictions)


def test_probes_learn_from_shapes_that_are_turned_as_their_protocol_says():
    points, labels = rods_and_balls(200)
    report = rotation(
        heights, points, labels, train=rods_and_balls(400, seed=1), rotations=ROTATIONS
    )
    # The height of a turned rod is 2 |cos tilt|, uniform in [0, 2]; of a ball always about 0.35.
    assert report.under("z/z").mean == 1
    assert 0.6 < report.under("z/SO3").mean < 0.95
    assert report.under("SO3/SO3").mean > report.under("z/SO3").mean
    assert report.settings["C of the z probe"] > 0
    assert report.settings["clouds"] == ROTATIONS.cost(200, 400)


def test_a_class_without_training_shapes_is_named():
    points, labels = rods_and_balls()
    train, _ = rods_and_balls()
    with pytest.raises(ValueError, match=r"1 of the classes to test have no training.*'ball'"):
        rotation(radii, points, labels, train=(train, torch.zeros(30).long()), class_names=NAMES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0, 1]}, r"30 shapes need as many labels and at least one, got \(2,\)"),
        ({"labels": [-1] * 30}, "labels must be classes from 0, got -1"),
        ({"labels": [0.5] * 30}, "labels must be classes from 0, got float"),
        ({"labels": [2] * 30}, "label 2 has no name among 2 class names"),
        ({"names": ["a"]}, "30 shapes need as many names, got 1"),
        ({"points": torch.rand(30, 3)}, r"points must be a batch \(B, N, 3\)"),
        ({"points": torch.full((30, 9, 3), torch.inf)}, "not finite at point 0 of shape 0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"class_names": ["a", "b", "c"]}, r"must return \(2, 3\): one number for each of the 3"),
    ],
)
def test_wrong_input_is_named(change, message):
    points, labels = rods_and_balls()
    given = {"points": points, "labels": labels, "class_names": NAMES, **change}
    with pytest.raises(ValueError, match=message):
        rotation(by_height, **given)


class Wary(torch.nn.Module):
    """Takes a shape for one with near ties where its first point is odd."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def forward(self, clouds):
        return by_radius(clouds)

    def near_ties(self, points):
        self.asked.append(len(points))
        return points[:, 0, 0] > 0


class Opposite(Wary):
    def near_ties(self, points):
        return ~super().near_ties(points)


def test_shapes_with_near_ties_are_told_apart_if_the_model_tells_them():
    points, labels = rods_and_balls()
    near = (points[:, 0, 0] > 0).numpy()
    assert 0 < near.sum() < 30
    classifier = torch.nn.Module()
    classifier.backbone, classifier.forward = Wary(), by_radius
    for model in (Wary(), classifier):
        told = rotation(model, points, labels, rotations=ROTATIONS, batch_size=8)
        np.testing.assert_array_equal(told.near_ties, near)
        changes = np.concatenate([told.changes["z"], told.changes["SO3"]])
        largest = {True: changes[:, near].max(), False: changes[:, ~near].max()}
        assert told.change_by_ties() == largest
        again = RotationReport.from_json(told.to_json())
        np.testing.assert_array_equal(again.near_ties, near)
        table = RotationView(again).tables()[1]
        assert [row[:2] for row in table.rows] == [
            ["near ties", f"{near.sum()}"],
            ["no near ties", f"{30 - near.sum()}"],
        ]
        assert "Near ties" in " ".join(RotationView(again).notes())
    assert max(classifier.backbone.asked) <= 8


def test_every_encoder_inside_a_model_is_asked_about_near_ties():
    stack = FeatureStack([CanonicalPose(PointNet()), "rri-statistics"])
    assert who_knows_near_ties(stack) == []
    stack.parts[0].backbone.first, stack.parts[1].second = Wary(), Opposite()
    assert [type(known) for known in who_knows_near_ties(stack)] == [Wary, Opposite]
    shapes, told = PointDataset(rods_and_balls()[0]), []
    near = find_near_ties(stack, shapes, 8, torch.device("cpu"), told.append)
    assert near is not None
    assert near.all()
    assert sum(told) == 30
    assert max(told) <= 8


def test_of_other_models_nothing_is_said_of_ties(report):
    assert report.near_ties is None
    assert report.change_by_ties() == {}
    view = RotationView(RotationReport.from_json(report.to_json()))
    assert [table.caption for table in view.tables()[1:]] == [view.tables()[-1].caption]
    assert "ties" not in " ".join(view.notes()).split()
