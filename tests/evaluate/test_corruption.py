"""The table of PointCloud-C, against the formulas and models whose answers are known."""

import json
import sys

import pytest
import torch

from pcclust.data.corruptions import DGCNN, DGCNN_CLEAN, KINDS, LEVELS, corruption_suite
from pcclust.data.transforms import UnitSphere
from pcclust.evaluate import CorruptionReport, corruption
from pcclust.report.corruption import CorruptionView

MORE_OR_LESS = {"dropout_global", "dropout_local", "add_global", "add_local"}


def shapes(count=6):
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(count, 1024, 3, generator=generator)
    return UnitSphere()(points), torch.arange(count) % 3


def by_index(clouds):
    """Knows every shape of a batch by its place, if it has all points, and none otherwise."""
    known = torch.eye(3)[torch.arange(len(clouds)) % 3]
    return known if clouds.shape[1] == 1024 else known.roll(1, dims=1)


def test_a_model_that_counts_points_knows_what_keeps_their_number():
    points, labels = shapes()
    report = corruption(by_index, points, labels, batch_size=6)
    assert report.clean == 1
    for kind in KINDS:
        expected = 0 if kind in MORE_OR_LESS else 1
        assert report.accuracies[kind] == [expected] * 5
    scores = report.scores
    # CE = (1 - OA) / (1 - OA of DGCNN), RCE = (clean - OA) / (the same of DGCNN)
    ce, rce = {}, {}
    for kind in KINDS:
        lost = 1.0 if kind in MORE_OR_LESS else 0.0
        ce[kind] = round(lost / (1 - DGCNN[kind]), 3)
        rce[kind] = round(lost / (DGCNN_CLEAN - DGCNN[kind]), 3)
    assert (scores.ce, scores.rce) == (ce, rce)
    assert scores.mce == round(sum(ce.values()) / 7, 3)
    assert scores.rmce == round(sum(rce.values()) / 7, 3)
    assert scores.moa == round(3 / 7, 3)


def test_every_shape_is_asked_about_in_all_35_versions_and_clean(monkeypatch):
    monkeypatch.setattr(sys.modules["pcclust.evaluate.corruption"], "BLOCK", 4)
    points, labels = shapes()
    seen, counts = [], []

    def keeping(clouds):
        seen.append(clouds)
        return torch.zeros(len(clouds), 3)

    corruption(keeping, points, labels, batch_size=2, layout="BN3", advance=counts.append)
    assert sum(counts) == 36 * 6
    asked = seen[1:]  # after the trial of the layout
    assert torch.equal(torch.cat(asked[:3]), points)
    first = torch.cat(asked[3:5])
    assert first.shape == (4, 1024, 3)
    sizes = {clouds.shape[1] for clouds in asked}
    assert {1024, 768, 256, 924, 524, 1034, 1074, 1124, 1524} <= sizes


def test_the_damage_depends_on_the_seed_and_not_on_the_batches():
    points, labels = shapes(5)
    torch.manual_seed(0)
    weights = torch.randn(3, 3)

    def noisy(clouds):
        return (clouds.square().mean(dim=1) * 2000).sin() @ weights

    one, other = (corruption(noisy, points, labels, batch_size=size) for size in (2, 32))
    assert one.accuracies == other.accuracies
    assert corruption(noisy, points, labels, seed=1).accuracies != one.accuracies


def test_equal_shapes_are_damaged_each_in_its_own_way(monkeypatch):
    monkeypatch.setattr(sys.modules["pcclust.evaluate.corruption"], "BLOCK", 2)
    points = shapes(1)[0].repeat(4, 1, 1)
    seen = []

    def keeping(clouds):
        seen.append(clouds)
        return torch.zeros(len(clouds), 3)

    corruption(keeping, points, [0] * 4, class_names=["a", "b", "c"], layout="BN3", batch_size=2)
    # After the trial and the clean ones, and before it is asked the same twice.
    clouds = [cloud for batch in seen[3:-2] for cloud in batch]
    assert len(clouds) == 35 * 4
    assert not any(torch.equal(clouds[i], clouds[i + 70]) for i in range(70))  # of the other block
    assert not any(torch.equal(*clouds[i : i + 2]) for i in range(0, 140, 2))


def test_the_damage_is_that_of_the_suite():
    points, labels = shapes(4)
    found = {}

    def keeping(clouds):
        found.setdefault(clouds.shape[1], clouds)
        return torch.zeros(len(clouds), 3)

    corruption(keeping, points, labels, layout="BN3", seed=3)
    dropped = found[768]  # dropout_global, level 0
    assert {tuple(p) for p in dropped[0].tolist()} <= {tuple(p) for p in points[0].tolist()}
    assert [len(LEVELS), len(list(corruption_suite(points)))] == [5, 35]


def test_json_and_markdown_hold_the_table():
    points, labels = shapes()
    report = corruption(by_index, points, labels, about={"model": "counts | points"})
    again = CorruptionReport.from_json(report.to_json())
    assert again == report
    assert json.loads(report.to_json())["measures"]["mce"] == report.scores.mce
    text = CorruptionView(report).markdown()
    row = f"| add local | 0.0 | 0.0 | 0.0 | 0.0 | 0.0 | 0.0 | {1 / 0.275:.3f} | {1 / 0.201:.3f} |"
    assert row in text
    assert "counts \\| points" in text
    with pytest.raises(ValueError, match="not a report of kind 'corruption'"):
        CorruptionReport.from_json('{"kind": "rotation"}')


def test_a_model_of_a_fixed_number_of_points_is_told_where_it_fails():
    points, labels = shapes()
    fixed = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 3))
    with pytest.raises(ValueError, match=r"fails on a batch .*of dropout_global, level 0"):
        corruption(fixed, points, labels)


def test_too_few_points_are_named():
    points, labels = shapes()
    with pytest.raises(ValueError, match="more than 100 points in a cloud, got 64"):
        corruption(lambda clouds: clouds.mean(1), points[:, :64], labels)
