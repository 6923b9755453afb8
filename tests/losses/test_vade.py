"""VaDE's divergence against the formula written out and against sampling."""

import math

import pytest
import torch
from torch.distributions import Normal

from pcclust.losses import GaussianMixture, vade_divergence


def posterior_and_prior(count=3, clusters=4, width=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    posterior = (draw(count, width), draw(count, width), draw(count, width))
    return posterior, GaussianMixture(draw(clusters), draw(clusters, width), draw(clusters, width))


def written_out(mean, log_variance, z, prior):
    weights = [math.exp(v) for v in prior.logits.tolist()]
    weights = [w / sum(weights) for w in weights]
    joint = []
    gaussians = (prior.means.tolist(), prior.log_variances.tolist())
    for weight, u, logs in zip(weights, *gaussians, strict=True):
        density = weight
        for value, center, log in zip(z, u, logs, strict=True):
            variance = math.exp(log)
            density *= math.exp(-((value - center) ** 2) / 2 / variance)
            density /= math.sqrt(2 * math.pi * variance)
        joint.append(density)
    gamma = [value / sum(joint) for value in joint]
    total = -0.5 * sum(1 + log for log in log_variance)
    for g, weight, u, logs in zip(gamma, weights, *gaussians, strict=True):
        for m, s, center, log in zip(mean, log_variance, u, logs, strict=True):
            variance = math.exp(log)
            total += g / 2 * (log + math.exp(s) / variance + (m - center) ** 2 / variance)
        total += g * math.log(g) - g * math.log(weight)
    return total


def test_it_is_the_formula():
    posterior, prior = posterior_and_prior()
    rows = zip(*(t.tolist() for t in posterior), strict=True)
    expected = [written_out(*row, prior) for row in rows]
    assert vade_divergence(*posterior, prior).tolist() == pytest.approx(expected)


def test_of_one_cluster_it_is_the_divergence_of_two_gaussians():
    posterior, prior = posterior_and_prior(clusters=1)
    mean, log_variance, _ = posterior
    ours = Normal(mean, (log_variance / 2).exp())
    theirs = Normal(prior.means, (prior.log_variances / 2).exp())
    expected = torch.distributions.kl_divergence(ours, theirs).sum(dim=1)
    torch.testing.assert_close(vade_divergence(*posterior, prior), expected)


def test_gradients():
    posterior, prior = posterior_and_prior(2, 3)
    inputs = tuple(t.requires_grad_() for t in (*posterior, *prior))
    assert torch.autograd.gradcheck(
        lambda m, s, z, *mixture: vade_divergence(m, s, z, GaussianMixture(*mixture)), inputs
    )


def test_a_shape_far_from_every_cluster_is_no_nan():
    (mean, log_variance, _), prior = posterior_and_prior()
    mean = (mean.float() + 1e4).requires_grad_()
    prior = GaussianMixture(*(t.float() for t in prior))
    loss = vade_divergence(mean, log_variance.float(), mean, prior).sum()
    loss.backward()
    assert loss.isfinite()
    assert mean.grad.isfinite().all()


def test_it_refuses():
    (mean, log_variance, z), prior = posterior_and_prior()
    with pytest.raises(ValueError, match=r"\(3, 1\)"):
        vade_divergence(mean[:, :1], log_variance, z, prior)
