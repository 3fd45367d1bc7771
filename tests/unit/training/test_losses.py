import math

import pytest
import torch

from flare.training.batches import Batch
from flare.training.losses import multitask


def loss(log10_flux, logits, true_flux, true_events, weight) -> float:
    tensors = (torch.tensor(values) for values in (true_flux, true_events))
    true_log10_flux, events = tensors
    batch = Batch(torch.empty(0), torch.empty(0), true_log10_flux, events)
    told = torch.tensor(log10_flux)[:, None], torch.tensor(logits)
    return multitask(weight)(*told, batch).item()


def test_without_events_it_is_the_mean_absolute_error_in_dex():
    assert loss([-5.0, -6.0], [[3.0]] * 2, [-6.0, -6.5], [[0.0]] * 2, 0.0) == pytest.approx(0.75)


def test_a_logit_of_zero_costs_ln_2_whatever_happened():
    found = loss([-5.0], [[0.0, 0.0, 0.0]], [-5.0], [[1.0, 1.0, 0.0]], 1.0)
    assert found == pytest.approx(math.log(2))


def test_the_event_weight_is_dex_for_a_nat():
    found = loss([-5.0], [[0.0]], [-5.5], [[1.0]], 3.0)
    assert found == pytest.approx(0.5 + 3 * math.log(2))


def test_a_sure_and_wrong_forecast_costs_its_logit():
    assert loss([-5.0], [[40.0]], [-5.0], [[0.0]], 1.0) == pytest.approx(40)
