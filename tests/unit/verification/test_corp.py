import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from flare.verification.categories import class_table, gandin_murphy_gerrity_score
from flare.verification.contingency import contingency_table, true_skill_statistic
from flare.verification.corp import corp_decomposition, murphy_curve, recalibrated_probability
from flare.verification.probabilistic import brier_score

RANDOM = np.random.default_rng(3)
PROBABILITY = np.round(RANDOM.random(300), 2)  # with ties
OBSERVED = RANDOM.random(300) < 0.1 + 0.6 * PROBABILITY


def test_recalibration_is_scikit_learns_isotonic_regression():
    theirs = IsotonicRegression(out_of_bounds="clip").fit(PROBABILITY, OBSERVED)
    ours = recalibrated_probability(OBSERVED, PROBABILITY)
    np.testing.assert_allclose(ours, theirs.predict(PROBABILITY), atol=1e-12)


def test_the_parts_of_each_score_add_up_and_are_not_negative():
    for parts in corp_decomposition(OBSERVED, PROBABILITY).values():
        total = parts.miscalibration - parts.discrimination + parts.uncertainty
        assert total == pytest.approx(float(parts.score))
        assert min(float(parts.miscalibration), float(parts.discrimination)) >= -1e-12


def test_the_brier_score_of_the_parts_is_the_brier_score():
    parts = corp_decomposition(OBSERVED, PROBABILITY)["brier"]
    assert float(parts.score) == pytest.approx(float(brier_score(OBSERVED, PROBABILITY)))


def test_a_certain_and_wrong_forecast_has_an_infinite_log_score_where_it_counts():
    observed, probability = np.array([True, False, True]), np.array([0.0, 0.2, 0.9])
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 1.0]])
    score = corp_decomposition(observed, probability, weights=weights)["log"].score
    assert np.isinf(score[0])
    assert score[1] == pytest.approx(-(2 * np.log(0.8) + np.log(0.9)) / 3)


def test_a_resample_scores_as_the_repeated_samples_do():
    weights = RANDOM.integers(0, 3, (1, 300)).astype(float)
    rows = np.repeat(np.arange(300), weights[0].astype(int))
    for name, parts in corp_decomposition(OBSERVED, PROBABILITY, weights=weights).items():
        repeated = corp_decomposition(OBSERVED[rows], PROBABILITY[rows])[name]
        assert parts.miscalibration[0] == pytest.approx(float(repeated.miscalibration))


def test_the_area_below_a_murphy_curve_is_the_brier_score():
    edges = np.linspace(0, 1, 20_001)
    middles = (edges[1:] + edges[:-1]) / 2
    area = murphy_curve(OBSERVED, PROBABILITY, middles).mean()
    assert area == pytest.approx(float(brier_score(OBSERVED, PROBABILITY)), abs=1e-4)


def test_for_two_classes_gmgs_is_the_tss():
    forecast = PROBABILITY >= 0.5
    table = class_table(OBSERVED.astype(int), forecast.astype(int), n_classes=2)
    expected = true_skill_statistic(contingency_table(OBSERVED, forecast))
    assert float(gandin_murphy_gerrity_score(table)) == pytest.approx(float(expected))


def test_gmgs_of_a_perfect_forecast_is_1_and_of_a_constant_one_0():
    observed = np.array([0, 0, 0, 1, 1, 2, 3])
    perfect = class_table(observed, observed, n_classes=4)
    assert float(gandin_murphy_gerrity_score(perfect)) == pytest.approx(1)
    for constant in range(4):
        table = class_table(observed, np.full(7, constant), n_classes=4)
        assert float(gandin_murphy_gerrity_score(table)) == pytest.approx(0)
