"""However class imbalance is met, probabilities are at the natural rate in the end."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from flare.config.network_groups import ObjectiveOptions
from flare.forecast import Forecast, natural_probabilities
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.postprocessing.fit import fit_postprocessing
from flare.goes import EVENTS, event_outcomes
from flare.training.losses import build_loss
from flare.training.sampling import build_sampler, class_weights
from flare.verification.probabilistic import brier_skill_score

N = 3000


def samples(seed: int) -> tuple[torch.Tensor, np.ndarray]:
    """Return a number that tells of a sample, (N, 1), and labels: 5 % are M1.0 or more."""
    rng = np.random.default_rng(seed)
    tells = rng.standard_normal(N)
    log10_flux = -7.0 + tells + rng.normal(0, 0.8, N)
    return torch.from_numpy(tells).float()[:, None], np.where(log10_flux < -7, 1e-9, 10**log10_flux)


KNOWN, LABELS = samples(0)
NEW, NEW_LABELS = samples(1)
OUTCOMES = event_outcomes(NEW_LABELS)


@cache
def learned_probability(objective: ObjectiveOptions) -> np.ndarray:
    """Return what a small network forecasts for new samples after training on an objective."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, len(EVENTS)))
    rows = np.arange(N)
    sampler, loss = build_sampler(objective, rows, LABELS, rows), build_loss(objective, LABELS)
    outcomes = torch.from_numpy(event_outcomes(LABELS)).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for epoch in range(12):
        for some in np.array_split(sampler(np.random.default_rng(epoch)), 25):
            batch = SimpleNamespace(log10_flux=torch.zeros(len(some)), events=outcomes[some])
            value = loss(torch.zeros(len(some), 1), network(KNOWN[some]), batch)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    with torch.inference_mode():
        return network(NEW).double().sigmoid().numpy()


def calibrated(probability: np.ndarray) -> np.ndarray:
    """Calibrate as after a training, on forecasts for half of the new samples; return the rest."""
    flux = np.full(N, -6.0)
    forecast = Forecast(flux, flux, flux, probability, EVENTS)
    postprocessing: PostProcessing = fit_postprocessing(
        forecast, NEW_LABELS, np.arange(N) % 3, level=0.9
    )
    return postprocessing.apply(flux, probability, EVENTS).probability


def near_the_rate(probability: np.ndarray, tolerance: float) -> None:
    """Fail unless the mean of each event's probability is its rate, but for X1.0's few."""
    np.testing.assert_allclose(
        probability[:, :3].mean(axis=0), OUTCOMES[:, :3].mean(axis=0), rtol=tolerance
    )


def objective_of(**options: object) -> ObjectiveOptions:
    return ObjectiveOptions(head="multitask", **options)


BALANCED = objective_of(sampling="class_balanced")


@pytest.mark.parametrize(
    "objective",
    [
        objective_of(event_loss="weighted_bce", event_balance=0.5),
        objective_of(event_loss="weighted_bce", event_balance=1.0),
        objective_of(event_loss="weighted_bce", event_balance=1.0, sampling="class_balanced"),
        BALANCED,
    ],
)
def test_with_the_weights_of_balanced_classes_divided_out_forecasts_are_at_the_natural_rate(
    objective,
):
    probability = learned_probability(objective)
    if weights := class_weights(objective, LABELS):
        probability = natural_probabilities(probability, weights)
    near_the_rate(probability, 0.15)
    # The strongest event is too rare to be calibrated: this is all that is done to it.
    assert probability[:, 3].mean() == pytest.approx(OUTCOMES[:, 3].mean(), abs=0.004)


def test_balanced_classes_alone_make_rare_events_far_too_likely_and_calibrated_as_good_as_natural():
    probability = learned_probability(BALANCED)
    assert probability[:, 2].mean() > 2 * OUTCOMES[:, 2].mean()
    balanced = calibrated(natural_probabilities(probability, class_weights(BALANCED, LABELS)))
    near_the_rate(balanced, 0.1)
    skill = [
        brier_skill_score(OUTCOMES[:, 2], p[:, 2])
        for p in (balanced, calibrated(learned_probability(objective_of())))
    ]
    assert skill[0] == pytest.approx(skill[1], abs=0.03)


@pytest.mark.parametrize("event_loss", ["focal", "score_oriented"])
def test_losses_that_distort_probabilities_are_corrected_by_calibration(event_loss):
    probability = learned_probability(objective_of(event_loss=event_loss))
    assert probability[:, 2].mean() > 1.5 * OUTCOMES[:, 2].mean()
    near_the_rate(calibrated(probability), 0.1)
