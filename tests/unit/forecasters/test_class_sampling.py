"""Probabilities learned from balanced classes, and the natural ones that follow from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare.forecast import shift_prior
from flare.forecasters.postprocessing.calibration import natural_probabilities

WEIGHTS = (0.5, 2.0, 0.7, 4.0, 4.0)

probabilities = st.lists(st.floats(0, 1), min_size=4, max_size=4).map(
    lambda p: sorted(p, reverse=True)
)
weights = st.lists(st.floats(0.05, 20), min_size=5, max_size=5)


def of_events(classes) -> np.ndarray:
    """Return the probabilities of events, (N, 4), from those of classes, (N, 5)."""
    return np.cumsum(np.asarray(classes)[:, ::-1], axis=1)[:, ::-1][:, 1:]


def test_weights_of_1_change_nothing():
    probability = np.array([[0.9, 0.5, 0.1, 0.01], [1, 1, 1, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(natural_probabilities(probability, [1.0] * 5), probability)


def test_of_one_event_it_is_the_shift_of_the_prior():
    # 6 % of samples are events; drawn half and half they come 0.5 / 0.06 times as often.
    probability = np.array([0.001, 0.2, 0.9])
    result = natural_probabilities(probability[:, None], (0.5 / 0.94, 0.5 / 0.06))
    np.testing.assert_allclose(result[:, 0], shift_prior(probability, 0.5, 0.06))


@pytest.mark.parametrize("weights", [WEIGHTS, (3.0, 0.1, 1.0, 1.0, 9.0)])
def test_what_balanced_classes_make_of_the_truth_is_divided_out(weights):
    truth = np.random.default_rng(0).dirichlet([4, 1.5, 3, 0.5, 0.05], size=200)
    sampled = truth * weights
    sampled /= sampled.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        natural_probabilities(of_events(sampled), weights), of_events(truth), rtol=1e-9, atol=1e-12
    )


@given(probabilities, weights)
def test_probabilities_stay_in_order_and_within_0_and_1(probability, weights):
    result = natural_probabilities(np.array([probability]), weights)[0]
    assert (np.diff(result) <= 1e-12).all()
    assert result.min() >= 0
    assert result.max() <= 1 + 1e-12


def test_an_event_that_is_more_likely_than_a_weaker_one_is_lowered_to_it_first():
    out_of_order = natural_probabilities(np.array([[0.5, 0.2, 0.4, 0.1]]), WEIGHTS)
    ordered = natural_probabilities(np.array([[0.5, 0.2, 0.2, 0.1]]), WEIGHTS)
    np.testing.assert_array_equal(out_of_order, ordered)
