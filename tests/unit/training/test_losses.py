import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flare.config.network_groups import ObjectiveOptions
from flare.goes import EVENTS, event_outcomes
from flare.training.losses import build_loss, event_rates, multitask

from tiny import TINY_LABELS

LABELS = np.resize(TINY_LABELS, 40)
ALL = {
    **{
        f"flux {name}": ObjectiveOptions(head="multitask", flux_loss=name)
        for name in ("l1", "huber", "pinball", "censored")
    },
    **{
        f"event {name}": ObjectiveOptions(head="multitask", event_loss=name)
        for name in ("bce", "weighted_bce", "focal", "score_oriented")
    },
    "balanced": ObjectiveOptions(
        head="multitask", sampling="class_balanced", event_loss="weighted_bce", label_floor=1e-7
    ),
}


def labels(log10_flux, events, dtype=torch.float64) -> SimpleNamespace:
    """Return what a loss reads of a batch."""
    outputs = (torch.as_tensor(values, dtype=dtype) for values in (log10_flux, events))
    return SimpleNamespace(**dict(zip(("log10_flux", "events"), outputs, strict=True)))


def labelled(peak_flux, dtype=torch.float64) -> SimpleNamespace:
    return labels(np.log10(peak_flux), event_outcomes(peak_flux), dtype)


def loss(log10_flux, logits, true_flux, true_events, weight) -> float:
    outputs = torch.tensor(log10_flux)[:, None], torch.tensor(logits)
    return multitask(weight)(*outputs, labels(true_flux, true_events)).item()


def test_without_events_it_is_the_mean_absolute_error_in_dex():
    assert loss([-5.0, -6.0], [[3.0]] * 2, [-6.0, -6.5], [[0.0]] * 2, 0.0) == pytest.approx(0.75)


def test_a_logit_of_zero_costs_ln_2_whatever_the_outcome():
    result = loss([-5.0], [[0.0, 0.0, 0.0]], [-5.0], [[1.0, 1.0, 0.0]], 1.0)
    assert result == pytest.approx(math.log(2))


def test_the_event_weight_is_dex_for_a_nat():
    result = loss([-5.0], [[0.0]], [-5.5], [[1.0]], 3.0)
    assert result == pytest.approx(0.5 + 3 * math.log(2))


def test_a_sure_and_wrong_forecast_costs_its_logit():
    assert loss([-5.0], [[40.0]], [-5.0], [[0.0]], 1.0) == pytest.approx(40)


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
def test_a_batch_without_an_event_and_sure_forecasts_give_finite_losses_and_gradients(objective):
    logits = torch.tensor([[2000.0] * 4, [-2000.0] * 4, [0.0] * 4], requires_grad=True)
    flux = torch.full((3, objective.n_quantiles), -6.0, requires_grad=True)
    quiet = np.full(3, 1e-9)
    batch = labelled(quiet, torch.float32)
    value = build_loss(objective, LABELS)(flux, logits, batch)
    value.backward()
    assert value.isfinite()
    assert flux.grad.isfinite().all()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("objective", ALL.values(), ids=ALL)
def test_labels_of_one_class_alone_give_a_finite_loss(objective):
    quiet = np.full(8, 1e-9)
    outputs = torch.full((8, objective.n_quantiles), -8.0), torch.zeros(8, len(EVENTS))
    assert build_loss(objective, quiet)(*outputs, labelled(quiet)).isfinite()


def test_rates_are_those_of_the_training_labels_and_never_0_or_1():
    flux = np.array([1e-9, 1e-9, 2e-7, 2e-6, 2e-5])
    assert event_rates(ObjectiveOptions(head="multitask"), flux) == pytest.approx(
        [0.6, 0.4, 0.2, 0.1]
    )
    assert event_rates(ObjectiveOptions(head="multitask"), flux[-1:]) == pytest.approx(
        [0.5, 0.5, 0.5, 0.5]
    )


def test_rates_are_those_of_the_samples_that_balanced_classes_draw():
    flux = np.array([1e-9] * 5 + [2e-7, 2e-6, 2e-6, 2e-5, 2e-4])
    rates = event_rates(ObjectiveOptions(head="multitask", sampling="class_balanced"), flux)
    assert rates == pytest.approx([0.75, 0.5, 0.25, 0.125])


@given(st.sampled_from(list(ALL)), st.integers(1, 7))
def test_the_loss_of_two_batches_of_a_size_is_their_mean(name, seed):
    objective = ALL[name]
    generator = torch.Generator().manual_seed(seed)
    flux = torch.randn(8, objective.n_quantiles, generator=generator, dtype=torch.float64) - 6
    logits = torch.randn(8, len(EVENTS), generator=generator, dtype=torch.float64)
    made = build_loss(objective, LABELS)
    halves = [
        made(flux[half], logits[half], labelled(LABELS[:8][half])).item()
        for half in (slice(0, 4), slice(4, 8))
    ]
    whole = made(flux, logits, labelled(LABELS[:8])).item()
    assert whole == pytest.approx(np.mean(halves))
