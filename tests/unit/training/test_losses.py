"""Losses against numbers by hand, their limits, and what each is minimal for."""

import math
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from flare.config.network_groups import ObjectiveOptions
from flare.goes import EVENTS, event_outcomes
from flare.training import losses
from flare.training.losses import build_loss, event_rates, multitask

from tiny import TINY_LABELS

LABELS = np.resize(TINY_LABELS, 40)
ALL = {
    name: ObjectiveOptions(head="multitask", **options)
    for name, options in {
        "l1": {},
        "huber": {"flux_loss": "huber", "event_loss": "focal"},
        "pinball": {"flux_loss": "pinball", "event_loss": "score_oriented"},
        "censored": {"flux_loss": "censored"},
        "balanced": {
            "sampling": "class_balanced", "event_loss": "weighted_bce", "label_floor": 1e-7
        },
    }.items()
}  # fmt: skip

FLUX_GRID = torch.linspace(-10, -3, 1401, dtype=torch.float64)
LOGITS = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
OUTCOMES = (torch.rand(50, 4, generator=torch.Generator().manual_seed(1)) < 0.3).double()
RATES = [0.5, 0.3, 0.1, 0.02]


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def one(value: float) -> torch.Tensor:
    return tensor(value)[None]


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def labelled(peak_flux, dtype=torch.float64) -> SimpleNamespace:
    """Return what a loss reads of a batch."""
    values = np.log10(peak_flux), event_outcomes(peak_flux)
    outputs = (torch.as_tensor(value, dtype=dtype) for value in values)
    return SimpleNamespace(**dict(zip(("log10_flux", "events"), outputs, strict=True)))


def best_flux(term, labels) -> float:
    """Return the constant forecast of the lowest loss."""
    observed = tensor(*labels)
    costs = [term(value.expand(len(observed))[:, None], observed).item() for value in FLUX_GRID]
    return FLUX_GRID[int(np.argmin(costs))].item()


def best_probability(term, rate: float) -> float:
    """Return the probability of the lowest expected loss for an event of that rate."""
    grid = np.linspace(0.005, 0.995, 199)
    costs = [
        rate * term(one(logit(p)), one(1)).item() + (1 - rate) * term(one(logit(p)), one(0)).item()
        for p in grid
    ]
    return float(grid[int(np.argmin(costs))])


# Flux -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "flux", "observed", "expected"),
    [
        (losses.absolute, [-5.0, -6.0], [-6.0, -6.5], 0.75),
        (losses.huber, [-5.5, -7], [-5, -5], (0.5**2 / 2 + 2 - 1 / 2) / 2),
        (losses.pinball, [-5, -6], [-9, -4], 3.0),  # of one quantile: the absolute error
        (partial(losses.censored, limit=-7), [-12, -7, -6.5], [-9, -9, -9], 0.5 / 3),
        (partial(losses.censored, limit=-7), [-8, -5], [-6, -6], 1.5),
    ],
)
def test_a_flux_loss_by_hand(term, flux, observed, expected):
    assert term(tensor(*flux)[:, None], tensor(*observed)).item() == pytest.approx(expected)


def test_the_pinball_loss_of_three_quantiles_by_hand():
    # y - f = 2, 1, -1: twice 0.05 * 2, 0.5 * 1 and 0.05 * 1
    result = losses.pinball(tensor(-7, -6, -4)[None], tensor(-5)).item()
    assert result == pytest.approx(2 * (0.1 + 0.5 + 0.05))


@pytest.mark.parametrize(
    ("term", "labels", "expected"),
    [
        (losses.absolute, [-9, -9, -6.5, -5, -4], -6.5),
        (partial(losses.censored, limit=-7), [-9, -9, -9, -5, -4], -7),
        (partial(losses.censored, limit=-7), [-9, -9, -6.5, -5, -4], -6.5),
    ],
)
def test_it_is_minimal_for_the_median_and_censored_not_below_the_limit(term, labels, expected):
    assert best_flux(term, labels) == pytest.approx(expected)


@pytest.mark.parametrize(("column", "level"), [(0, 0.05), (1, 0.5), (2, 0.95)])
def test_each_quantile_is_minimal_where_its_share_of_labels_lies_below(column, level):
    labels = np.random.default_rng(0).normal(-6, 0.8, 2001)

    def term(flux, observed):
        three = observed[:, None].repeat(1, 3)
        three[:, column] = flux[:, 0]
        return losses.pinball(three, observed)

    assert best_flux(term, labels) == pytest.approx(np.quantile(labels, level), abs=0.01)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 3.5),
        ({"label_floor": 1e-8}, 2.5),
        ({"flux_loss": "censored"}, 1.5),
        ({"flux_loss": "censored", "label_floor": 1e-6}, 0.5),
    ],
)
def test_floor_and_limit_are_in_watts_per_square_metre_and_raise_labels_only(options, expected):
    objective = ObjectiveOptions(head="multitask", event_weight=0, **options)
    made = build_loss(objective, np.full(4, 1e-9))
    outputs = one(-5.5), torch.zeros(1, 4, dtype=torch.float64)
    assert made(*outputs, labelled(np.array([1e-9]))).item() == pytest.approx(expected)


# Events -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "probability", "outcome", "expected"),
    [
        (losses.cross_entropy, 0.5, 1, math.log(2)),
        (losses.cross_entropy, 0.5, 0, math.log(2)),
        # p = 0.9 of what happened: (1 - 0.9)^2 (-ln 0.9)
        (partial(losses.focal, gamma=2), 0.9, 1, 0.01 * -math.log(0.9)),
        (partial(losses.focal, gamma=2), 0.9, 0, 0.81 * -math.log(0.1)),
        # r = 0.2, balance 1: w = 4; at z = -ln 4 the shifted probability is 1/2
        (
            partial(losses.weighted_cross_entropy, rates=[0.2], balance=1),
            0.2, 1, 4 * math.log(2) / 1.6,
        ),
        (
            partial(losses.weighted_cross_entropy, rates=[0.2], balance=1),
            0.2, 0, math.log(2) / 1.6,
        ),
        # false alarms only: a batch needs no event
        (partial(losses.score_oriented, rates=[0.2]), 0.5, 0, 0.5 / 0.8),
    ],
)  # fmt: skip
def test_an_event_loss_by_hand(term, probability, outcome, expected):
    assert term(one(logit(probability)), one(outcome)).item() == pytest.approx(expected)


def test_a_certain_and_wrong_forecast_costs_its_logit():
    assert losses.cross_entropy(one(40), one(0)).item() == pytest.approx(40)


@pytest.mark.parametrize(
    "term",
    [
        partial(losses.focal, gamma=0),
        partial(losses.weighted_cross_entropy, rates=RATES, balance=0),
    ],
)
def test_at_0_the_focal_and_the_weighted_loss_are_the_cross_entropy(term):
    assert term(LOGITS, OUTCOMES).item() == pytest.approx(
        losses.cross_entropy(LOGITS, OUTCOMES).item()
    )


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("truth", [0.05, 0.5, 0.8])
def test_the_weighted_loss_is_minimal_for_the_true_probability(rate, balance, truth):
    term = partial(losses.weighted_cross_entropy, rates=[rate], balance=balance)
    assert best_probability(term, truth) == pytest.approx(truth, abs=0.0051)


def test_the_focal_loss_is_minimal_nearer_to_a_half_than_the_truth():
    assert 0.1 < best_probability(partial(losses.focal, gamma=2), 0.1) < 0.4


@pytest.mark.parametrize(("truth", "expected"), [(0.05, 0.005), (0.2, 0.995)])
def test_the_score_oriented_loss_asks_for_an_alarm_above_the_rate(truth, expected):
    term = partial(losses.score_oriented, rates=[0.1])
    assert best_probability(term, truth) == pytest.approx(expected)


def test_the_score_oriented_loss_is_0_if_perfect_1_for_a_constant_and_2_for_the_opposite():
    perfect = torch.where(OUTCOMES > 0, 80.0, -80.0).double()
    rates = OUTCOMES.mean(dim=0).tolist()
    forecasts = perfect, torch.full_like(LOGITS, logit(0.3)), -perfect
    costs = [losses.score_oriented(logits, OUTCOMES, rates).item() for logits in forecasts]
    assert costs == pytest.approx([0, 1, 2], abs=1e-12)


def test_the_score_oriented_loss_is_1_less_the_mean_true_skill_statistic_over_all_thresholds():
    forecast_probability, outcomes = LOGITS.sigmoid().numpy(), OUTCOMES.numpy() > 0
    skill = [
        (forecast_probability[outcomes[:, k], k] >= threshold).mean()
        - (forecast_probability[~outcomes[:, k], k] >= threshold).mean()
        for k in range(4)
        for threshold in np.linspace(0.0005, 0.9995, 1000)
    ]
    result = losses.score_oriented(LOGITS, OUTCOMES, outcomes.mean(axis=0).tolist()).item()
    assert result == pytest.approx(1 - np.mean(skill), abs=1e-3)


# Both -------------------------------------------------------------------------------------------


def test_the_event_weight_is_dex_for_a_nat():
    batch = SimpleNamespace(log10_flux=tensor(-5.5), events=one(1))
    assert multitask(3.0)(one(-5), one(0), batch).item() == pytest.approx(0.5 + 3 * math.log(2))


def test_by_default_it_is_absolute_error_and_cross_entropy():
    outputs = torch.randn(40, 1), torch.randn(40, len(EVENTS)).double()
    result = build_loss(ObjectiveOptions(head="multitask"), LABELS)(*outputs, labelled(LABELS))
    assert torch.equal(result, multitask(1)(*outputs, labelled(LABELS)))


@pytest.mark.parametrize("objective", ALL.values(), ids=ALL)
def test_the_gradient_is_that_of_the_formula(objective):
    generator = torch.Generator().manual_seed(0)
    shape = {"generator": generator, "dtype": torch.float64, "requires_grad": True}
    flux = torch.randn(8, objective.n_quantiles, **shape)
    logits = torch.randn(8, len(EVENTS), **shape)
    batch, made = labelled(LABELS[:8]), build_loss(objective, LABELS)
    assert torch.autograd.gradcheck(lambda f, z: made(f - 6, z, batch), (flux, logits))


@pytest.mark.parametrize("objective", ALL.values(), ids=ALL)
@pytest.mark.parametrize("training", [LABELS, np.full(8, 1e-9)], ids=["all classes", "quiet"])
def test_quiet_labels_and_certain_forecasts_give_finite_losses_and_gradients(objective, training):
    logits = torch.tensor([[2000.0] * 4, [-2000.0] * 4, [0.0] * 4], requires_grad=True)
    flux = torch.full((3, objective.n_quantiles), -6.0, requires_grad=True)
    batch = labelled(np.full(3, 1e-9), torch.float32)
    value = build_loss(objective, training)(flux, logits, batch)
    value.backward()
    assert value.isfinite()
    assert flux.grad.isfinite().all()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(
    ("options", "flux", "expected"),
    [
        ({}, [1e-9, 1e-9, 2e-7, 2e-6, 2e-5], [0.6, 0.4, 0.2, 0.1]),
        ({}, [2e-5], [0.5, 0.5, 0.5, 0.5]),  # never 0 or 1
        (
            {"sampling": "class_balanced"},
            [1e-9] * 5 + [2e-7, 2e-6, 2e-6, 2e-5, 2e-4],
            [0.75, 0.5, 0.25, 0.125],
        ),
    ],
)
def test_rates_are_those_of_the_sampled_rows_and_never_0_or_1(options, flux, expected):
    rates = event_rates(ObjectiveOptions(head="multitask", **options), np.array(flux))
    assert rates == pytest.approx(expected)
