"""Losses of log10 flux against hand numbers, and against what each is least for."""

import numpy as np
import pytest
import torch

from flare.config.network_groups import ObjectiveOptions
from flare.training.losses import build_loss
from flare.training.losses.terms import absolute, censored, floored, huber, pinball

GRID = torch.linspace(-10, -3, 1401, dtype=torch.float64)


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def best(term, labels) -> float:
    """Return the constant forecast of the lowest loss."""
    labels = tensor(*labels)
    costs = [term(value.expand(len(labels))[:, None], labels).item() for value in GRID]
    return GRID[int(np.argmin(costs))].item()


def test_an_error_of_half_a_dex_and_one_of_two_cost_as_huber_says():
    # 0.5^2 / 2 and 2 - 1 / 2, by hand
    assert huber(tensor(-5.5, -7)[:, None], tensor(-5, -5)).item() == pytest.approx(
        (0.125 + 1.5) / 2
    )


def test_the_absolute_error_is_least_for_the_median():
    assert best(absolute, [-9, -9, -6.5, -5, -4]) == pytest.approx(-6.5)


def test_the_pinball_loss_by_hand():
    # y - f = 2, 1, -1: twice 0.05 * 2, 0.5 * 1 and 0.05 * 1
    result = pinball(0.9)(tensor(-7, -6, -4)[None], tensor(-5)).item()
    assert result == pytest.approx(2 * (0.1 + 0.5 + 0.05))


def test_the_middle_of_three_quantiles_costs_the_absolute_error():
    labels = tensor(-9, -6, -4.5)
    sure = torch.stack([labels, tensor(-5, -5, -5), labels], dim=1)
    assert pinball(0.9)(sure, labels).item() == pytest.approx(absolute(sure, labels).item())


def test_of_one_quantile_the_pinball_loss_is_the_absolute_error():
    flux, labels = tensor(-5, -6)[:, None], tensor(-9, -4)
    assert pinball(0.9)(flux, labels).item() == pytest.approx(absolute(flux, labels).item())


@pytest.mark.parametrize(("column", "level"), [(0, 0.05), (1, 0.5), (2, 0.95)])
def test_each_quantile_is_least_where_its_share_of_labels_lies_below(column, level):
    labels = np.random.default_rng(0).normal(-6, 0.8, 2001)

    def term(flux, observed):
        three = observed[:, None].repeat(1, 3)
        three[:, column] = flux[:, 0]
        return pinball(0.9)(three, observed)

    assert best(term, labels) == pytest.approx(np.quantile(labels, level), abs=0.01)


def test_below_the_limit_a_quiet_label_costs_nothing_and_above_it_the_excess():
    costs = [
        censored(-7)(tensor(forecast)[:, None], tensor(-9)).item() for forecast in (-12, -7, -6.5)
    ]
    assert costs == pytest.approx([0, 0, 0.5])


def test_a_label_above_the_limit_costs_the_absolute_error_on_both_sides():
    costs = [censored(-7)(tensor(forecast)[:, None], tensor(-6)).item() for forecast in (-8, -5)]
    assert costs == pytest.approx([2, 1])


@pytest.mark.parametrize(
    ("labels", "expected"), [([-9, -9, -9, -5, -4], -7), ([-9, -9, -6.5, -5, -4], -6.5)]
)
def test_the_censored_loss_is_least_for_the_median_but_not_below_the_limit(labels, expected):
    assert best(censored(-7), labels) == pytest.approx(expected)


def test_a_label_below_the_floor_is_raised_to_it_and_others_stay():
    term = floored(absolute, -7)
    assert term(tensor(-7, -5)[:, None], tensor(-9, -5.5)).item() == pytest.approx(0.25)


def test_the_forecast_is_not_floored():
    assert floored(absolute, -7)(tensor(-9)[:, None], tensor(-9)).item() == pytest.approx(2)


def test_the_floor_and_the_limit_of_the_aims_are_in_watts_per_square_metre():
    class Quiet:
        log10_flux = tensor(-9)
        events = torch.zeros(1, 4, dtype=torch.float64)

    def cost(**objective) -> float:
        made = build_loss(
            ObjectiveOptions(head="multitask", event_weight=0, **objective), np.full(4, 1e-9)
        )
        return made(tensor(-5.5)[:, None], torch.zeros(1, 4, dtype=torch.float64), Quiet()).item()

    assert cost() == pytest.approx(3.5)
    assert cost(label_floor=1e-8) == pytest.approx(2.5)
    assert cost(flux_loss="censored") == pytest.approx(1.5)
    assert cost(flux_loss="censored", label_floor=1e-6) == pytest.approx(0.5)
