"""One curve of rates gives all events."""

import numpy as np
import pytest
import torch
from small_networks import inputs, network

from flare.models import ARCHITECTURES
from flare.models.heads import RateCurve, log_rates_of, logits_of

RATES = [0.6, 0.3, 0.06, 0.004]


def test_the_logit_is_that_of_one_minus_the_chance_of_no_flare():
    log_rate = torch.linspace(-19, 2.5, 400, dtype=torch.float64)
    exact = torch.logit(-torch.expm1(-log_rate.exp()))
    sure = exact.isfinite()
    torch.testing.assert_close(logits_of(log_rate)[sure], exact[sure], atol=1e-5, rtol=1e-5)


def test_log_rates_are_the_inverse_of_logits():
    log_rate = torch.linspace(-19, 3.9, 100)
    torch.testing.assert_close(log_rates_of(logits_of(log_rate)), log_rate, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_stronger_events_are_never_more_likely(architecture):
    model = network(architecture, n_quantiles=0)
    with torch.no_grad():
        for layer in (model.heads.curve.location, model.heads.curve.steepness):
            layer.weight.mul_(100)
    flux, logits = model(*inputs(16))
    assert flux.shape == (16, 0)
    assert (logits.diff(dim=1) <= 0).all()
    assert logits.isfinite().all()


def test_it_begins_at_the_rates_that_it_is_given():
    curve = RateCurve(8, 4)
    curve.start_at(RATES)
    torch.nn.init.zeros_(curve.location.weight)
    torch.nn.init.zeros_(curve.steepness.weight)
    np.testing.assert_allclose(
        logits_of(curve(torch.ones(1, 8))).sigmoid()[0].detach(), RATES, rtol=1e-4
    )


def test_events_that_always_come_together_can_be_given():
    curve = RateCurve(8, 4)
    curve.start_at([0.25, 0.25, 0.04, 0.01])
    assert curve(torch.zeros(1, 8)).isfinite().all()
