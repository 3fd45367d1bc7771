"""One curve of rates gives all events: its layers, its likelihood, and the linear fit."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from flare.flux_curve import log_rates, probabilities
from flare.models.heads import RateCurve, log_rates_of, logits_of
from flare.training.distribution import EDGES, fit_linear_curve, interval_likelihood
from flare.verification.probabilistic import brier_skill_score

P = np.array([0.6, 0.3, 0.06, 0.004])
LOGITS = torch.logit(torch.tensor(P))[None].float()
N, D = 900, 12


def test_the_logit_is_that_of_one_minus_the_chance_of_no_flare_and_can_be_inverted():
    log_rate = torch.linspace(-19, 2.5, 400, dtype=torch.float64)
    exact = torch.logit(-torch.expm1(-log_rate.exp()))
    finite = exact.isfinite()
    torch.testing.assert_close(logits_of(log_rate)[finite], exact[finite], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(log_rates_of(logits_of(log_rate)), log_rate, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rates", [P.tolist(), [0.25, 0.25, 0.04, 0.01]])
def test_a_curve_starts_at_given_rates_even_if_two_are_equal(rates):
    curve = RateCurve(8, 4)
    curve.start_at(rates)
    torch.nn.init.zeros_(curve.location.weight)
    torch.nn.init.zeros_(curve.steepness.weight)
    made = logits_of(curve(torch.ones(1, 8))).sigmoid()[0].detach()
    np.testing.assert_allclose(made, rates, rtol=2e-3)


def cost(flux: float) -> float:
    label = SimpleNamespace(log10_flux=torch.tensor([np.log10(flux)]).float())
    return interval_likelihood(LOGITS[:, :0], LOGITS, label).item()


@pytest.mark.parametrize(("flux", "chance"), [(1e-9, 0.4), (3e-4, 0.004)])
def test_quiet_has_the_chance_of_no_event_and_the_strongest_bin_that_of_x(flux, chance):
    assert cost(flux) == pytest.approx(-np.log(chance), rel=1e-3)


@pytest.mark.parametrize("event", range(3))
def test_the_bins_of_a_class_together_have_its_chance(event):
    weakest = 10.0 ** (event - 7)  # just B1.0, C1.0 or M1.0 counts as one
    chance = sum(np.exp(-cost(weakest * multiple)) for multiple in (1.0, 2.5, 7.0))
    assert chance == pytest.approx(P[event] - P[event + 1], rel=1e-3)


def test_all_bins_together_have_a_chance_of_one():
    middles = [1e-9, *(10**x for x in np.arange(-7, -4, 1 / 3) + 0.05), 5e-4]
    assert len(middles) == len(EDGES) + 1
    assert sum(np.exp(-cost(flux)) for flux in middles) == pytest.approx(1, rel=1e-4)


def test_it_is_minimal_for_the_true_rates():
    uniform = np.random.default_rng(0).random(4000)
    classes = (uniform[:, None] < P).sum(axis=1)
    flux = np.array([1e-9, 3e-7, 3e-6, 3e-5, 3e-4])[classes]
    labels = SimpleNamespace(log10_flux=torch.from_numpy(np.log10(flux)).float())

    def mean(shift: float) -> float:
        logits = logits_of(torch.from_numpy(log_rates(P)) + shift)[None].expand(4000, 4)
        return interval_likelihood(logits[:, :0], logits, labels).item()

    assert mean(0.0) < min(mean(-0.3), mean(0.3))


def test_an_impossible_label_has_a_finite_cost_and_gradient():
    logits = torch.full((1, 4), -40.0, requires_grad=True)
    label = SimpleNamespace(log10_flux=torch.tensor([-4.0]))
    loss = interval_likelihood(logits[:, :0], logits, label)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def sun(seed: int, strength: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return features, of which the first moves the rate, and log10 of the labels."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((N, D)).astype(np.float32)
    p = probabilities(strength * features[:, :1] - 0.5 - 1.3 * np.arange(4))
    reached = (rng.random(N)[:, None] < p).sum(axis=1)
    return features, np.array([-9.0, -6.5, -5.5, -4.5, -3.5])[reached]


@cache
def fitted(strength: float) -> RateCurve:
    features, labels = sun(0, strength)
    curve = RateCurve(D, 4)
    fit_linear_curve(curve, features, labels, np.arange(N) // 3, rates=[0.5, 0.3, 0.1, 0.02])
    return curve


def forecast(curve: RateCurve, features: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return probabilities(curve(torch.from_numpy(features)).double().numpy())[:, 2]


def test_the_linear_fit_finds_the_feature_that_moves_the_rate_and_has_skill_on_new_samples():
    weights = fitted(1.0).location.weight[0].detach()
    assert weights[0].item() == pytest.approx(1.0, abs=0.2)
    assert weights[1:].abs().max() < 0.25
    features, labels = sun(1)
    assert brier_skill_score(labels >= -5, forecast(fitted(1.0), features)) > 0.03


def test_where_the_features_say_nothing_the_linear_fit_stays_near_the_rates():
    features, labels = sun(2, strength=0.0)
    p = forecast(fitted(0.0), features)
    assert p.std() < 0.03
    assert p.mean() == pytest.approx((labels >= -5).mean(), abs=0.05)
