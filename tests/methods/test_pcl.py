import pytest
import torch
from torch.nn import functional as F

import pcclust
from pcclust.losses import nt_xent, prototype_contrast
from pcclust.methods.pcl import PCL, RECIPE, PCLConfig
from pcclust.nn import CanonicalPose
from pcclust.training import RunFolder, fit
from tests.methods.families import family_set, write_families
from tests.methods.resumption import check_same_bits_after_kills

DGCNN = {"k": 4, "channels": [8], "embedding": 16}
TINY = {
    "dataset": "x", "num_points": 32, "view_points": 16, "batch_size": 6, "workers": 1,
    "projection": 8, "hidden": 8, "prototypes": (3, 5), "prototypes_from": 1, "epochs": 3,
    "model_kwargs": {"backbone": "dgcnn", "model_kwargs": DGCNN, "size": 0.6},
}  # fmt: skip


def create(**settings):
    return PCL(RECIPE.preset(**(TINY | settings)), family_set(24, num_points=32)[0])


def clustered(method):
    """Puts projections of three directions in place, and clusters them."""
    rows = torch.eye(8)[torch.arange(24) % 3]
    method.model.projections.copy_(rows)
    method.begin_epoch(1, lambda *told: None)
    return rows


@pytest.mark.filterwarnings("ignore:only 3 of the 5 clusters")
def test_clusters_are_those_of_the_last_projections():
    method = create()
    rows = clustered(method)
    for labels, prototypes in (("labels3", "prototypes3"),):
        found = getattr(method.model, prototypes)[getattr(method.model, labels)]
        torch.testing.assert_close(found, rows)


@pytest.mark.filterwarnings("ignore:only 3 of the 5 clusters")
def test_the_loss_is_of_views_and_of_all_numbers_of_clusters():
    method = create()
    clustered(method)
    batch = next(method.batches(1, 0))
    method.model.eval()
    z1, z2 = (method.model(view)["projector"] for view in batch.points.unbind(dim=1))
    found = method.loss(method.model, batch)
    both = torch.cat([z1, z2])
    contrasts = [
        prototype_contrast(
            both,
            getattr(method.model, f"prototypes{n}"),
            getattr(method.model, f"labels{n}")[batch.indices.repeat(2)],
            0.1,
        )
        for n in (3, 5)
    ]
    expected = nt_xent(z1, z2, 0.2) + sum(contrasts) / 2
    torch.testing.assert_close(found["loss"], expected)


def test_before_there_are_clusters_views_alone_are_contrasted():
    method = create(prototypes_from=2)
    method.begin_epoch(1, lambda *told: None)
    found = method.loss(method.model, next(method.batches(1, 0)))
    assert found["loss"] is found["instance"]


def test_a_step_leaves_the_mean_of_both_projections():
    method = create()
    batch = next(method.batches(0, 0))
    method.model.eval()
    z1, z2 = method.outputs(method.model, batch)["projector"].unbind(dim=1)
    method.loss(method.model, batch)
    method.after_step()
    expected = F.normalize(F.normalize(z1, dim=1) + F.normalize(z2, dim=1), dim=1)
    torch.testing.assert_close(method.model.projections[batch.indices], expected.detach())
    others = [row for row in range(24) if row not in batch.indices.tolist()]
    assert not method.model.projections[others].any()


def test_views_are_cropped_in_the_pose_of_the_whole():
    """Without tilt and noise, what is left of a view lies where the whole has it."""
    method = create(tilt=0.0, jitter=0.0, max_scale=1.0, crop=0.6, view_points=16)
    whole = method.shapes.points[:4]
    seen = method.views(torch.arange(4), 0, 0)[:, 0]
    poses = CanonicalPose(torch.nn.Identity(), size=0.6)
    centred, axes, _ = poses._poses(whole, None)
    cast = (centred @ axes).float().abs()
    for view, cloud in zip(seen.abs(), cast, strict=True):
        assert float(torch.cdist(view, cloud).amin(dim=1).max()) < 1e-3  # of cdist's rounding


def test_all_poses_are_asked_of_what_is_saved(tmp_path):
    method = create()
    assert fit(method, RunFolder(tmp_path / "run")).complete
    assert method.model.prototypes5.any()
    encoder = pcclust.load(tmp_path / "run").eval()
    assert isinstance(encoder, CanonicalPose)
    points = method.shapes.points
    turned = points[..., [1, 2, 0]]
    torch.testing.assert_close(encoder(turned), encoder(points), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(encoder(points), method.features())


def test_in_training_the_backbone_gets_views_as_they_are():
    method = create()
    batch = next(method.batches(0, 0))
    flat = batch.points.flatten(0, 1)
    found = method.model(flat, [])["features"]
    torch.testing.assert_close(found, method.model.encoder.backbone(flat))


def test_numbers_of_clusters_for_which_there_are_too_few_shapes_are_left_out():
    method = create(prototypes=(3, 13, 100))
    assert method.counts == [3]
    assert method.describe()[-1] == "too few shapes for prototypes 13, 100: left out"


def test_posed_views_are_for_canonical_pose():
    with pytest.raises(ValueError, match="posed views are for --model canonical-pose, not dgcnn"):
        create(model="dgcnn", model_kwargs=DGCNN)


@pytest.mark.parametrize("name", ["hidden", "projection", "temperature", "prototypes_from"])
def test_settings_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}=0 must be positive"):
        PCLConfig(dataset="x", **{name: 0})


def test_a_single_prototype_is_refused():
    with pytest.raises(ValueError, match="prototypes=1 must be at least 2"):
        PCLConfig(dataset="x", prototypes=(1,))


@pytest.mark.slow
def test_killed_and_resumed_it_has_the_same_bits(tmp_path):
    file = write_families(tmp_path / "shapes.h5", 24, num_points=32)
    settings = TINY | {"dataset": str(file), "model": "canonical-pose", "posed": True}
    settings["prototypes"] = [3, 5]
    check_same_bits_after_kills("pcl", settings, tmp_path)
