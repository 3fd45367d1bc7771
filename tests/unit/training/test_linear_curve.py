"""The distribution that is linear in the features."""

import numpy as np
import pytest
import torch

from flare.flux_curve import probabilities
from flare.models.heads import RateCurve
from flare.training.linear_curve import fit_linear_curve
from flare.verification.probabilistic import brier_skill_score

N, D = 900, 12
RATES = [0.5, 0.3, 0.1, 0.02]


def sun(seed: int, strength: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return features, of which the first moves the rate, and log10 of the labels."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((N, D)).astype(np.float32)
    p = probabilities(strength * features[:, :1] - 0.5 - 1.3 * np.arange(4))
    reached = (rng.random(N)[:, None] < p).sum(axis=1)
    return features, np.array([-9.0, -6.5, -5.5, -4.5, -3.5])[reached]


def fitted(strength: float) -> RateCurve:
    features, labels = sun(0, strength)
    curve = RateCurve(D, 4)
    fit_linear_curve(curve, features, labels, np.arange(N) // 3, rates=RATES)
    return curve


def test_it_finds_the_feature_that_moves_the_rate():
    weights = fitted(1.0).location.weight[0].detach()
    assert weights[0].item() == pytest.approx(1.0, abs=0.2)
    assert weights[1:].abs().max() < 0.25


def test_its_probabilities_have_skill_on_new_samples():
    features, labels = sun(1)
    with torch.no_grad():
        p = probabilities(fitted(1.0)(torch.from_numpy(features)).double().numpy())
    assert brier_skill_score(labels >= -5, p[:, 2]) > 0.03


def test_where_nothing_is_to_be_known_it_stays_near_the_rates():
    features, labels = sun(2, strength=0.0)
    with torch.no_grad():
        p = probabilities(fitted(0.0)(torch.from_numpy(features)).double().numpy())
    assert p[:, 2].std() < 0.03
    assert p[:, 2].mean() == pytest.approx((labels >= -5).mean(), abs=0.05)
