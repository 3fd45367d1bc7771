"""The likelihood of labels under a distribution."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from flare.flux_curve import log_rates
from flare.models.heads import logits_of
from flare.training.losses.distribution import EDGES, interval_likelihood

P = np.array([0.6, 0.3, 0.06, 0.004])
LOGITS = torch.logit(torch.tensor(P))[None].float()


def cost(flux: float, logits: torch.Tensor = LOGITS) -> float:
    label = SimpleNamespace(log10_flux=torch.tensor([np.log10(flux)]).float())
    return interval_likelihood(logits[:, :0], logits, label).item()


def test_quiet_has_the_chance_of_no_event():
    assert cost(1e-9) == pytest.approx(-np.log(0.4), rel=1e-4)


def test_the_strongest_have_the_chance_of_the_strongest_event():
    assert cost(3e-4) == pytest.approx(-np.log(0.004), rel=1e-3)


@pytest.mark.parametrize("event", range(3))
def test_the_bins_of_a_class_together_have_its_chance(event):
    weakest = 10.0 ** (event - 7)  # just B1.0, C1.0 or M1.0 counts as one
    chance = sum(np.exp(-cost(weakest * multiple)) for multiple in (1.0, 2.5, 7.0))
    assert chance == pytest.approx(P[event] - P[event + 1], rel=1e-3)


def test_all_bins_together_have_a_chance_of_one():
    middles = [1e-9, *(10**x for x in np.arange(-7, -4, 1 / 3) + 0.05), 5e-4]
    assert len(middles) == len(EDGES) + 1
    assert sum(np.exp(-cost(flux)) for flux in middles) == pytest.approx(1, rel=1e-4)


def test_it_is_least_for_the_true_rates():
    rng = np.random.default_rng(0)
    uniform = rng.random(4000)
    classes = (uniform[:, None] < P).sum(axis=1)
    flux = np.array([1e-9, 3e-7, 3e-6, 3e-5, 3e-4])[classes]
    labels = SimpleNamespace(log10_flux=torch.from_numpy(np.log10(flux)).float())

    def mean(shift: float) -> float:
        logits = logits_of(torch.from_numpy(log_rates(P)) + shift)[None].expand(4000, 4)
        return interval_likelihood(logits[:, :0], logits, labels).item()

    assert mean(0.0) < min(mean(-0.3), mean(0.3))


def test_a_label_that_cannot_be_has_a_finite_cost_and_gradient():
    logits = torch.full((1, 4), -40.0, requires_grad=True)
    label = SimpleNamespace(log10_flux=torch.tensor([-4.0]))
    loss = interval_likelihood(logits[:, :0], logits, label)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
