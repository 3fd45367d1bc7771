"""Losses of the events against hand numbers, their limits, and what each is least for."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flare.training.losses.terms import cross_entropy, focal, score_oriented, weighted_cross_entropy

LOGITS = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
OUTCOMES = (torch.rand(50, 4, generator=torch.Generator().manual_seed(1)) < 0.3).double()
RATES = [0.5, 0.3, 0.1, 0.02]


def one(value: float) -> torch.Tensor:
    return torch.tensor([[value]], dtype=torch.float64)


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def best(term, rate: float) -> float:
    """Return the probability of the lowest expected loss for an event of that rate."""
    grid = np.linspace(0.005, 0.995, 199)
    costs = [
        rate * term(one(logit(p)), one(1)).item() + (1 - rate) * term(one(logit(p)), one(0)).item()
        for p in grid
    ]
    return float(grid[int(np.argmin(costs))])


def test_at_gamma_0_the_focal_loss_is_the_cross_entropy():
    result = focal(0)(LOGITS, OUTCOMES).item()
    assert result == pytest.approx(cross_entropy(LOGITS, OUTCOMES).item())


def test_the_focal_loss_by_hand():
    # p = 0.9 of what happened: (1 - 0.9)^2 (-ln 0.9)
    assert focal(2)(one(logit(0.9)), one(1)).item() == pytest.approx(0.01 * -math.log(0.9))
    assert focal(2)(one(logit(0.9)), one(0)).item() == pytest.approx(0.81 * -math.log(0.1))


def test_the_focal_loss_is_least_nearer_to_a_half_than_the_truth():
    assert 0.1 < best(focal(2), 0.1) < 0.4


def test_at_balance_0_the_weighted_loss_is_the_cross_entropy():
    result = weighted_cross_entropy(RATES, 0)(LOGITS, OUTCOMES).item()
    assert result == pytest.approx(cross_entropy(LOGITS, OUTCOMES).item())


def test_the_weighted_loss_by_hand():
    # r = 0.2, balance 1: w = 4; at z = -ln 4 the shifted probability is 1/2
    term = weighted_cross_entropy([0.2], 1)
    assert term(one(-math.log(4)), one(1)).item() == pytest.approx(4 * math.log(2) / 1.6)
    assert term(one(-math.log(4)), one(0)).item() == pytest.approx(math.log(2) / 1.6)


def test_at_balance_1_events_weigh_in_all_as_much_as_the_rest():
    term = weighted_cross_entropy([0.2], 1)
    even = one(-math.log(4))
    assert 0.2 * term(even, one(1)).item() == pytest.approx(0.8 * term(even, one(0)).item())


@given(st.floats(0.01, 0.5), st.floats(0, 1), st.sampled_from([0.05, 0.2, 0.5, 0.8]))
def test_the_weighted_loss_is_least_for_the_true_probability(rate, balance, truth):
    assert best(weighted_cross_entropy([rate], balance), truth) == pytest.approx(truth, abs=0.0051)


def test_a_perfect_forecast_has_a_score_oriented_loss_of_0_and_its_opposite_2():
    sure = torch.where(OUTCOMES > 0, 80.0, -80.0).double()
    term = score_oriented(OUTCOMES.mean(dim=0).tolist())
    assert term(sure, OUTCOMES).item() == pytest.approx(0, abs=1e-12)
    assert term(-sure, OUTCOMES).item() == pytest.approx(2)


@pytest.mark.parametrize("probability", [0.01, 0.3, 0.99])
def test_a_constant_forecast_has_a_score_oriented_loss_of_1(probability):
    constant = torch.full_like(LOGITS, logit(probability))
    term = score_oriented(OUTCOMES.mean(dim=0).tolist())
    assert term(constant, OUTCOMES).item() == pytest.approx(1)


def test_the_score_oriented_loss_is_1_less_the_mean_true_skill_statistic_over_all_thresholds():
    forecast_probability, outcomes = LOGITS.sigmoid().numpy(), OUTCOMES.numpy() > 0
    skill = [
        (forecast_probability[outcomes[:, k], k] >= threshold).mean()
        - (forecast_probability[~outcomes[:, k], k] >= threshold).mean()
        for k in range(4)
        for threshold in np.linspace(0.0005, 0.9995, 1000)
    ]
    result = score_oriented(outcomes.mean(axis=0).tolist())(LOGITS, OUTCOMES).item()
    assert result == pytest.approx(1 - np.mean(skill), abs=1e-3)


def test_a_batch_without_an_event_costs_its_false_alarms_only():
    # three samples at p = 0.5 of an event of rate 0.2
    result = score_oriented([0.2])(torch.zeros(3, 1), torch.zeros(3, 1)).item()
    assert result == pytest.approx(0.5 / 0.8)


@pytest.mark.parametrize(("truth", "expected"), [(0.05, 0.005), (0.2, 0.995)])
def test_the_score_oriented_loss_asks_for_an_alarm_above_the_rate(truth, expected):
    assert best(score_oriented([0.1]), truth) == pytest.approx(expected)
