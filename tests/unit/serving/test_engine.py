from dataclasses import replace

import numpy as np
import pytest
from known_models import network
from serving_fakes import CUBE, FakeForecaster, samples_of

from flare.errors import ForecasterInvalid, InputInvalid
from flare.forecast import Forecast
from flare.forecasters.answer import Answer
from flare.goes import EVENTS
from flare.models import ARCHITECTURES
from serving.models.follower import (
    MAX_CORES_PER_REQUEST,
    check_forecast,
    with_threads_for,
)
from serving.models.source import Loaded, Version
from serving.schemas import Prediction
from serving.service import predict

ONE = samples_of(CUBE)


def loaded(forecaster):
    return Loaded(forecaster, Version("1", "1"), "solar-flare", None)


def test_the_answer_has_every_field_that_batch_prediction_has():
    assert Answer.__annotations__.keys() <= Prediction.model_fields.keys()


def test_the_forecaster_for_all_cores_is_used_for_the_only_request():
    usual, wide = FakeForecaster(), FakeForecaster()
    both = replace(loaded(usual), multi_core=wide)
    predict(both, ONE, all_cores=True)
    assert (len(usual.asked), len(wide.asked)) == (0, 1)
    predict(both, ONE)
    assert (len(usual.asked), len(wide.asked)) == (1, 1)
    predict(loaded(usual), ONE, all_cores=True)
    assert len(usual.asked) == 2


@pytest.mark.parametrize(("cores", "alone"), [(3, 3), (64, MAX_CORES_PER_REQUEST)])
def test_an_exported_network_takes_one_core_or_all(cores, alone):
    ready = with_threads_for(cores, loaded(network(-5.0).exported()))
    assert (ready.forecaster.graph.threads, ready.multi_core.graph.threads) == (1, alone)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_architecture_answers_alike_on_one_core_and_on_four(architecture):
    made = network(-5.0, architecture=architecture, width=16)
    ready = with_threads_for(4, loaded(made.exported()))
    cubes = np.stack([CUBE, CUBE[::-1], CUBE[:, ::-1]])
    present = np.ones((3, 4, 10), dtype=bool)
    one, all_cores = (f.predict(cubes, present) for f in (ready.forecaster, ready.multi_core))
    for name in ("log10_flux", "lower", "upper", "probability"):
        np.testing.assert_allclose(getattr(one, name), getattr(all_cores, name), atol=1e-6)


@pytest.mark.parametrize("cores", [1, 4])
def test_without_a_network_or_a_second_core_nothing_changes(cores):
    before = loaded(FakeForecaster())
    assert with_threads_for(cores, before) == before
    assert with_threads_for(1, loaded(network(-5.0).exported())).multi_core is None


def test_a_model_that_answers_nan_is_a_fault_of_the_model_and_not_of_the_input():
    broken = loaded(FakeForecaster(log10_flux=float("nan")))
    with pytest.raises(ForecasterInvalid) as raised:
        predict(broken, ONE)
    assert not isinstance(raised.value, InputInvalid)


def test_probabilities_of_0_and_1_are_valid():
    zero = np.zeros(1)
    check_forecast(Forecast(zero, zero, zero, np.array([[1.0, 1.0, 1.0, 0.0]]), EVENTS), n=1)


@pytest.mark.parametrize(
    ("flux", "low", "high", "probability", "events"),
    [
        ([-5, -5], [-6, -6], [-4, -4], [[0.9, 0.5, 0.1, 0]] * 2, EVENTS),
        ([-5], [-4.9], [-4], [[0.9, 0.5, 0.1, 0]], EVENTS),
        ([-5], [-6], [np.inf], [[0.9, 0.5, 0.1, 0]], EVENTS),
        ([-5], [np.nan], [-4], [[0.9, 0.5, 0.1, 0]], EVENTS),
        ([-5], [-6], [-4], [[0.9, 0.5, np.nan, 0]], EVENTS),
        ([-5], [-6], [-4], [[0.9, 0.5, -0.1, 0]], EVENTS),
        ([-5], [-6], [-4], [0.9, 0.5, 0.1, 0], EVENTS),
        ([-5], [-6], [-4], [[0.5]], ("C1.0",)),
    ],
)
def test_an_invalid_forecast_is_refused(flux, low, high, probability, events):
    forecast = Forecast(*(np.array(part, float) for part in (flux, low, high, probability)), events)
    with pytest.raises(ForecasterInvalid):
        check_forecast(forecast, n=1)


def test_a_sample_with_missing_images_counts_them():
    cube = CUBE.copy()
    cube[0] = 0
    cube[3, 9] = 0
    result = predict(loaded(FakeForecaster()), samples_of(cube))[0]
    assert result.missing_images == len(result.missing) == 11
    assert (result.missing[-1].step, result.missing[-1].channel) == (3, "magnetogram")
