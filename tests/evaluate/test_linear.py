"""Every number must be what scikit-learn and the formulas make of features computed one by one."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from pcclust.cluster import SpectralMap
from pcclust.data.dataset import UP_AXES
from pcclust.data.splits import few_labels
from pcclust.data.transforms import rotation_about
from pcclust.evaluate import LinearReport, Probes, Rotations, linear, rotation
from pcclust.evaluate.kernel_probe import KernelProbe
from pcclust.evaluate.linear_probe import LinearProbe
from pcclust.nn import FeatureStack
from pcclust.report.linear import LinearView
from tests.evaluate.known_shapes import rods_and_balls
from tests.evaluate.test_weighted_knn import slow as slow_knn

ROTATIONS = Rotations(rounds=3, tilts=0, seed=5)
PROBES = Probes(
    azimuths=3, neighbors=7, landmarks=30, components=4, label_fractions=(0.05, 0.3), repeats=2
)
FEW = Probes(
    landmarks=0, components=0, label_fractions=(0.1,), repeats=1
)  # where the probes are not what is tested


def boxes(count, seed=0, num_points=24, up=2):
    """Three classes of noisy boxes that differ in height, width and depth, a third of each."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    sides = torch.tensor([[0.9, 0.5, 0.4], [0.5, 0.6, 0.6], [0.4, 0.4, 0.9]])[labels]
    sides = sides + 0.15 * torch.randn(count, 3, generator=draw)
    points = 2 * torch.rand(count, num_points, 3, generator=draw) - 1
    points = points * sides[:, None]
    return points.roll(up - 2, dims=2), labels


def moments(clouds):
    """Features that rotations change: second moments and extents."""
    products = clouds.mT @ clouds / clouds.shape[1]
    extent = clouds.amax(dim=1) - clouds.amin(dim=1)
    return torch.cat([4 * products.flatten(1), extent], dim=1)


def turned_features(points, rotations, model=moments):
    """The features of each shape turned, one shape at a time."""
    turned = [shape @ turn.T.float() for shape, turn in zip(points, rotations, strict=True)]
    return torch.cat([model(shape[None]) for shape in turned])


class Slow:
    """All features and accuracies, without anything shared or batched."""

    def __init__(self, up_axis="z"):
        up = UP_AXES.index(up_axis)
        self.points, self.labels = boxes(45, seed=1, up=up)
        self.train, self.known = boxes(150, seed=2, up=up)
        self.up_axis = up_axis

    def rotations(self, orientation, count):
        if orientation == "upright":
            return torch.eye(3).expand(1, count, 3, 3)
        return (
            ROTATIONS.about_up(count, self.up_axis)
            if orientation == "z"
            else ROTATIONS.arbitrary(count)
        )

    def features(self, trained, tested, model=moments):
        learned = turned_features(self.train, self.rotations(trained, 150)[0], model)
        tests = self.rotations(tested, 45)
        return learned, [turned_features(self.points, turn, model) for turn in tests]

    def azimuths(self, count):
        for number in range(count):
            angle = torch.tensor([2 * np.pi * number / count])
            turn = rotation_about(self.up_axis, angle)
            yield tuple(
                turned_features(some, turn.expand(len(some), 3, 3))
                for some in (self.train, self.points)
            )

    def accuracy(self, predicted):
        return float((np.asarray(predicted) == self.labels.numpy()).mean())


@pytest.fixture(scope="module")
def known():
    return Slow()


@pytest.fixture(scope="module")
def report(known):
    return linear(
        moments,
        known.points,
        known.labels,
        train=(known.train, known.known),
        rotations=ROTATIONS,
        probes=PROBES,
        batch_size=13,
    )


ALL = ["upright/upright", "z/z", "z/SO3", "SO3/SO3"]


def test_the_protocols_differ_and_are_in_order(report):
    assert list(report.protocols) == ALL
    means = [report.score(protocol).mean for protocol in ALL]
    assert means[0] > means[2] + 0.1
    assert 0.3 < min(means) < max(means) <= 1
    assert report.score("z/z").accuracies.shape == (1, 3)
    assert report.score("upright/upright").std is None


@pytest.mark.parametrize("protocol", ALL)
def test_with_c_1_the_answers_are_those_of_linear_svc_on_plain_features(known, report, protocol):
    learned, rounds = known.features(*protocol.split("/"))
    theirs = LinearSVC(C=1, dual=False, tol=1e-9, max_iter=100_000).fit(learned, known.known)
    expected = [known.accuracy(theirs.predict(some)) for some in rounds]
    found = report.score(protocol, "linear_svm_c1")
    np.testing.assert_allclose(found.accuracies[0], expected, atol=1.01 / 45)
    np.testing.assert_allclose(found.mean, np.mean(expected), atol=0.5 / 45)
    assert found.Cs == (1,)


@pytest.mark.parametrize("protocol", ALL)
def test_with_the_chosen_c_they_are_those_of_linear_svc_on_standardised_ones(
    known, report, protocol
):
    learned, rounds = known.features(*protocol.split("/"))
    found = report.score(protocol)
    scale = StandardScaler().fit(learned)
    theirs = LinearSVC(C=found.Cs[0], dual=False, tol=1e-9, max_iter=100_000)
    theirs.fit(scale.transform(learned), known.known)
    expected = [known.accuracy(theirs.predict(scale.transform(some))) for some in rounds]
    np.testing.assert_allclose(found.accuracies[0], expected, atol=1.01 / 45)
    assert found.Cs == (LinearProbe(learned, known.known, seed=ROTATIONS.seed).C,)


@pytest.mark.parametrize("protocol", ALL[1:])
def test_the_rbf_classifier_is_scikit_learns_on_standardised_features(known, report, protocol):
    learned, rounds = known.features(*protocol.split("/"))
    scale = StandardScaler().fit(learned.double())
    theirs = SVC(gamma="auto").fit(scale.transform(learned.double()), known.known)
    expected = [known.accuracy(theirs.predict(scale.transform(some.double()))) for some in rounds]
    np.testing.assert_allclose(
        report.score(protocol, "rbf_svc").accuracies, [expected], atol=1.01 / 45
    )


@pytest.mark.parametrize("protocol", ALL)
def test_the_linear_machine_on_a_kernel_map_is_a_kernel_probe(known, report, protocol):
    learned, rounds = known.features(*protocol.split("/"))
    probe = KernelProbe(learned, known.known, landmarks=30, seed=ROTATIONS.seed)
    found = report.score(protocol, "kernel_map")
    expected = [known.accuracy(probe.predict(some)) for some in rounds]
    np.testing.assert_allclose(found.accuracies, [expected], atol=1.01 / 45)
    assert found.Cs == (probe.C,)


class Part(torch.nn.Module):
    """Moments or, of more columns, lengths."""

    def __init__(self, columns):
        super().__init__()
        self.out_channels = columns

    def forward(self, points, *, lengths=None):
        return moments(points) if self.out_channels == 12 else points.norm(dim=2).repeat(1, 5)


def test_parts_of_a_stack_are_blocks_of_the_kernel_map(known):
    stack = FeatureStack([Part(12), Part(120)]).eval()
    few = dataclasses.replace(FEW, landmarks=30)
    train = (known.train, known.known)
    report = linear(stack, known.points, known.labels, train=train, rotations=ROTATIONS, probes=few)
    learned, rounds = known.features("z", "z", stack)
    blocks = {"landmarks": 30, "blocks": (12, 120), "seed": ROTATIONS.seed}
    probe = KernelProbe(learned, known.known, **blocks)
    expected = [known.accuracy(probe.predict(some)) for some in rounds]
    found = report.score("z/z", "kernel_map")
    np.testing.assert_allclose(found.accuracies, [expected], atol=1.01 / 45)
    as_one = KernelProbe(learned, known.known, landmarks=30, seed=ROTATIONS.seed)
    others = [known.accuracy(as_one.predict(some)) for some in rounds]
    assert np.abs(np.subtract(others, expected)).max() > 2 / 45  # or it would show nothing


def test_without_landmarks_and_components_there_are_no_maps(known):
    train = (known.train, known.known)
    found = linear(
        moments, known.points, known.labels, train=train, rotations=ROTATIONS, probes=FEW
    )
    assert not {"kernel_map", "graph_svm"} & {one.probe for one in found.scores}


def test_votes_turn_all_shapes_alike_and_are_averaged(known, report):
    expected = []
    for learned, shown in known.azimuths(3):
        scale = StandardScaler().fit(learned.double())
        theirs = SVC(gamma="auto").fit(scale.transform(learned.double()), known.known)
        expected.append([known.accuracy(theirs.predict(scale.transform(shown.double())))])
    found = report.score("upright/upright", "rbf_svc")
    np.testing.assert_allclose(found.accuracies, expected, atol=1.01 / 45)
    assert found.std == pytest.approx(found.accuracies[:, 0].std(ddof=1))


def test_votes_show_the_model_shapes_turned_by_even_steps(known):
    seen = []

    def recording(clouds):
        seen.append(clouds.clone())
        return moments(clouds)

    train = (known.train, known.known)
    probes = Probes(azimuths=3, landmarks=0, components=0, label_fractions=())
    linear(recording, known.points, known.labels, train=train, rotations=ROTATIONS, probes=probes)
    shown = torch.cat(seen).flatten(1)
    for degrees in (0, 120, 240):
        turn = rotation_about("z", torch.tensor([np.radians(degrees)]))[0].float()
        for points in (known.train, known.points):
            turned = (points @ turn.T).flatten(1)
            gaps = torch.cdist(turned.double(), shown.double()).amin(dim=1)
            assert gaps.max() < 1e-4


@pytest.mark.parametrize("protocol", ALL)
def test_neighbours_vote_as_the_formula_says(known, report, protocol):
    learned, rounds = known.features(*protocol.split("/"))
    expected = [
        known.accuracy(slow_knn(learned.double(), known.known, some.double(), 7, 0.07))
        for some in rounds
    ]
    found = report.score(protocol, "weighted_knn")
    np.testing.assert_allclose(found.accuracies, [expected], atol=1.01 / 45)
    assert found.Cs == ()


@pytest.mark.parametrize("fraction", [0.05, 0.3])
def test_with_few_labels_nothing_else_is_learned_from(known, report, fraction):
    learned, rounds = known.features("z", "SO3")
    expected = []
    for repeat in range(2):
        rows = few_labels(known.known, fraction, repeat=repeat, seed=ROTATIONS.seed)
        probe = LinearProbe(learned[rows], known.known[rows], seed=ROTATIONS.seed)
        expected.append([known.accuracy(probe.predict(some)) for some in rounds])
    found = report.score("z/SO3", fraction=fraction)
    np.testing.assert_allclose(found.accuracies, expected, atol=1.01 / 45)
    assert found.labels == 3 * max(1, round(50 * fraction)) == len(rows)
    assert found.std == pytest.approx(np.std(found.accuracies.mean(axis=1), ddof=1))


@pytest.mark.parametrize("fraction", [0.05, 0.3, 1])
def test_beside_a_spectral_map_the_graph_is_of_all_shapes(known, report, fraction):
    learned, rounds = known.features("z", "SO3")
    graph = SpectralMap(4).fit(_scaled(learned, learned))
    seen, *shown = (
        torch.cat([_scaled(some, learned), graph.transform(_scaled(some, learned))], dim=1)
        for some in (learned, *rounds)
    )
    expected = []
    for repeat in range(2 if fraction < 1 else 1):
        rows = few_labels(known.known, fraction, repeat=repeat, seed=ROTATIONS.seed)
        rows = rows if fraction < 1 else torch.arange(len(seen))
        probe = LinearProbe(seen[rows], known.known[rows], standardize=False, seed=ROTATIONS.seed)
        expected.append([known.accuracy(probe.predict(some)) for some in shown])
    found = report.score("z/SO3", "graph_svm", fraction=fraction)
    np.testing.assert_allclose(found.accuracies, expected, atol=1.01 / 45)
    assert found.labels == len(rows)


def _scaled(features, learned):
    spread = learned.std(dim=0, correction=0)
    return (features - learned.mean(dim=0)) / spread.clamp(min=1e-9) / learned.shape[1] ** 0.5


def test_class_means_weigh_all_classes_alike(known):
    labels = (known.labels == 0).long()  # two thirds are of class 0
    balanced = linear(
        lambda clouds: clouds.mean(dim=1).sign() * 0 + torch.arange(len(clouds))[:, None] % 3,
        known.points,
        labels,
        train=(known.train, (known.known == 0).long()),
        rotations=ROTATIONS,
        probes=Probes(landmarks=0, components=0, label_fractions=()),
        batch_size=1000,
    )
    found = balanced.score("z/z")
    assert found.mean == found.class_mean == 1
    blind = linear(
        lambda clouds: torch.randn(len(clouds), 2, generator=torch.Generator().manual_seed(0)),
        known.points,
        labels,
        train=(known.train, (known.known == 0).long()),
        rotations=ROTATIONS,
        probes=Probes(landmarks=0, components=0, label_fractions=()),
        batch_size=1000,
    ).score("z/z")
    assert blind.class_mean == pytest.approx(0.5, abs=0.1) != blind.mean


@pytest.mark.parametrize("up_axis", UP_AXES)
def test_turns_are_about_the_axis_that_is_up(up_axis):
    known = Slow(up_axis)
    found = linear(
        moments,
        known.points.numpy(),
        known.labels.tolist(),
        train=(known.train, known.known),
        rotations=ROTATIONS,
        probes=Probes(landmarks=0, components=0, label_fractions=(), azimuths=3),
        up_axis=up_axis,
    )
    learned, rounds = known.features("z", "z")
    probe = LinearProbe(learned, known.known, seed=ROTATIONS.seed)
    expected = [known.accuracy(probe.predict(some)) for some in rounds]
    np.testing.assert_allclose(found.score("z/z").accuracies, [expected], atol=1.01 / 45)
    votes = found.score("upright/upright", "rbf_svc").accuracies
    learned, shown = list(known.azimuths(3))[1]
    scale = StandardScaler().fit(learned.double())
    theirs = SVC(gamma="auto").fit(scale.transform(learned.double()), known.known)
    right = known.accuracy(theirs.predict(scale.transform(shown.double())))
    assert votes[1, 0] == pytest.approx(right, abs=1.01 / 45)


def test_the_numbers_are_those_of_the_evaluation_of_rotations(known, report):
    asked = (moments, known.points, known.labels)
    turned = rotation(*asked, train=(known.train, known.known), rotations=ROTATIONS)
    for protocol in ALL[1:]:
        found = report.score(protocol).accuracies[0]
        np.testing.assert_array_equal(found, turned.under(protocol).accuracies)


def test_invariant_features_are_worth_the_same_under_every_protocol():
    def radius(clouds):
        return clouds.norm(dim=2).amax(dim=1)[:, None]

    train = rods_and_balls(60, seed=1)
    asked = linear(radius, *rods_and_balls(), train=train, rotations=ROTATIONS, probes=FEW)
    assert list(asked.protocols) == ALL[1:]
    assert {round(found.mean, 6) for found in asked.scores if found.probe != "weighted_knn"} == {1}


def test_each_shape_is_encoded_once_in_each_turn_and_everything_is_counted(known):
    seen, clouds, classifiers = [], [], []

    def counting(batch):
        seen.extend(batch.flatten(1).double().sum(dim=1).tolist())
        return moments(batch)

    found = linear(
        counting,
        known.points,
        known.labels,
        train=(known.train, known.known),
        rotations=ROTATIONS,
        probes=dataclasses.replace(PROBES, label_fractions=(0.1,)),
        advance=clouds.append,
        trained=lambda: classifiers.append(1),
    )
    assert sum(clouds) == PROBES.clouds(45, 150, 3) == found.settings["clouds"]
    # Two clouds to find the layout, and 32 twice to see whether the model is random.
    assert len(seen) == sum(clouds) + 2 + 2 * 32
    assert len(classifiers) == dataclasses.replace(PROBES, label_fractions=(0.1,)).classifiers == 32
    assert len(set(seen)) == sum(clouds)  # no cloud is shown twice; the two tried are upright


def test_labels_of_test_shapes_choose_nothing(known, report):
    wrong = (known.labels + 1) % 3
    train = (known.train, known.known)
    probes = dataclasses.replace(PROBES, azimuths=0)
    asked = linear(moments, known.points, wrong, train=train, rotations=ROTATIONS, probes=probes)
    for after in asked.scores:
        before = report.score(after.protocol, after.probe, after.fraction)
        assert before.Cs == after.Cs
    assert asked.score("z/z").mean < report.score("z/z").mean


def test_the_numbers_depend_on_the_seed_alone(known):
    def told(seed=5, **more):
        rotations = Rotations(rounds=3, tilts=0, seed=seed)
        asked = (moments, known.points, known.labels)
        train = (known.train, known.known)
        found = linear(*asked, train=train, rotations=rotations, probes=FEW, **more)
        return [score.to_dict() for score in found.scores]

    first = told()
    assert first == told(layout="BN3", class_names=["a", "b", "c"], batch_size=13)
    assert first != told(seed=6)


def test_json_holds_everything_and_tables_the_measures(report):
    again = LinearReport.from_json(report.to_json())
    assert again.to_json() == report.to_json()
    assert LinearView(again).markdown() == LinearView(report).markdown()
    measures = json.loads(report.to_json())["measures"]
    score = report.score("z/SO3", fraction=0.3)
    assert measures["z/SO3"]["linear_svm, 0.3 of labels"]["accuracy"] == score.mean
    assert measures["upright/upright"]["linear_svm"]["std"] is None
    text = LinearView(report).markdown()
    cells = [f"{100 * report.score(p).mean:.1f}" for p in ALL]
    assert f"| linear SVM | {cells[0]} | {cells[1]} ± " in text
    assert f"| 30 % (45) | {100 * report.score(ALL[0], fraction=0.3).mean:.1f} ± " in text
    assert "over 3 rotations of all shapes" in text
    for wrong in ("[]", '{"kind": "rotation"}'):
        with pytest.raises(ValueError, match="not a report of kind 'linear'"):
            LinearReport.from_json(wrong)
    with pytest.raises(ValueError, match="no linear_svm SO3/z 1 among linear_svm upright"):
        report.score("SO3/z")


def test_reports_that_were_written_under_older_names_are_read(report):
    told = json.loads(report.to_json())
    for score in told["scores"]:
        score["share"], score["strengths"] = score.pop("fraction"), score.pop("Cs")
    settings = told["settings"]
    for now, old in (("azimuths", "votes"), ("repeats", "draws")):
        settings[old] = settings.pop(now)
    settings["label_shares"] = settings.pop("label_fractions")
    again = LinearReport.from_json(json.dumps(told))
    assert json.loads(again.to_json()) == json.loads(report.to_json())


# ------------------------------------------------------------------ wrong input
def same(clouds):
    return torch.ones(len(clouds), 4)


def nearly_same(clouds):
    return 7 + 1e-7 * clouds[:, 0]


def broken(clouds):
    return clouds.mean(dim=1) / 0


@pytest.mark.parametrize(
    ("model", "changed", "message"),
    [
        (same, {}, r"features of all 12 training shapes are equal \(z\)"),
        (nearly_same, {}, "features of all 12 training shapes are equal"),
        (broken, {}, r"returned -?inf in row .*divisions by zero"),
        (moments, {"train": 1}, "a single training shape teaches nothing"),
        (moments, {"known": [1] * 12}, "all 12 training shapes are of the class 'class 1'"),
        (moments, {"known": [0, 1] * 6}, "1 of the classes to test have no training.*'class 2'"),
        (moments, {"known": [0, 1, 2]}, "12 shapes need as many labels"),
        (moments, {"known": [-1, 0] * 6}, "classes from 0, got -1; leave out unlabelled shapes"),
    ],
)
def test_wrong_input_is_named(model, changed, message):
    points, labels = boxes(6)
    train, known = boxes(12, seed=3)
    count = changed.get("train", 12)
    given = (train[:count], changed.get("known", known[:count]))
    with pytest.raises(ValueError, match=message):
        linear(model, points, labels, train=given, rotations=ROTATIONS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"azimuths": -1}, "azimuths=-1"),
        ({"neighbors": 0}, "neighbors=0"),
        ({"temperature": 0}, "temperature=0"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"label_fractions": (0.1, 0)}, "fraction of 0 of the labels"),
        ({"label_fractions": (1,)}, "fraction of 1 of the labels"),
        ({"repeats": 0}, "repeats=0"),
    ],
)
def test_probes_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Probes(**wrong)


def test_one_test_shape_and_one_label_a_class_are_legal():
    points, labels = boxes(1)
    found = linear(moments, points, labels, train=boxes(6, seed=3), rotations=ROTATIONS, probes=FEW)
    assert found.score("z/z", fraction=0.1).labels == 3
    assert found.score("z/z").accuracies.shape == (1, 3)
