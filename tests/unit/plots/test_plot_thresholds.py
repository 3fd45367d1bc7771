import numpy as np
import pytest
from layout import all_text
from matplotlib.collections import FillBetweenPolyCollection

from flare.plots.roc import roc_curve, skill_against_threshold
from flare.verification.bootstrap import interval, region_weights
from flare.verification.contingency import contingency_table, resampled_tables, true_skill_statistic
from flare.verification.probabilistic import roc_area

generator = np.random.default_rng(1)
PROBABILITY = np.round(generator.beta(0.5, 3, 200), 2)  # with ties
OBSERVED = generator.random(200) < PROBABILITY
WEIGHTS = region_weights(np.arange(200) // 5, n_resamples=60, seed=0)


def test_resampled_tables_are_those_of_the_contingency_table() -> None:
    thresholds = np.array([0.0, 0.07, 0.3, 1.0])
    tables = resampled_tables(OBSERVED, PROBABILITY, thresholds, WEIGHTS)
    for k, threshold in enumerate(thresholds):
        one = contingency_table(OBSERVED, threshold <= PROBABILITY, weights=WEIGHTS)
        for entry in ("hits", "misses", "false_alarms", "correct_negatives"):
            np.testing.assert_allclose(getattr(tables, entry)[:, k], getattr(one, entry))


def test_the_band_of_the_tss_is_its_interval_at_each_threshold() -> None:
    axes = skill_against_threshold(
        OBSERVED, PROBABILITY, event="M1.0", threshold=0.1, weights=WEIGHTS
    ).axes[0]
    band = next(c for c in axes.collections if isinstance(c, FillBetweenPolyCollection))
    corners = band.get_paths()[0].vertices
    threshold = np.unique(corners[:, 0])[60]
    shown = sorted(set(corners[corners[:, 0] == threshold, 1].tolist()))
    tables = resampled_tables(OBSERVED, PROBABILITY, np.array([threshold]), WEIGHTS)
    assert shown == pytest.approx(interval(true_skill_statistic(tables)[:, 0]))


def test_without_weights_there_is_no_band() -> None:
    axes = skill_against_threshold(OBSERVED, PROBABILITY, event="M1.0").axes[0]
    assert not axes.collections


@pytest.mark.parametrize("draw", [roc_curve, skill_against_threshold])
@pytest.mark.parametrize(("outcomes", "why"), [(True, "nothing but events"), (False, "no events")])
def test_an_event_that_always_or_never_occurred_is_said_to_have_no_score(
    draw: object, outcomes: bool, why: str
) -> None:
    figure = draw(np.full(200, outcomes), PROBABILITY, event="X1.0", threshold=0.1)
    assert f"undefined:\n{why}" in all_text(figure)
    assert "nan" not in all_text(figure)


def test_the_roc_figure_says_the_interval_of_the_area() -> None:
    figure = roc_curve(OBSERVED, PROBABILITY, event="M1.0", weights=WEIGHTS)
    low, high = interval(roc_area(OBSERVED, PROBABILITY, weights=WEIGHTS))
    area = float(roc_area(OBSERVED, PROBABILITY))
    assert f"area {area:.3f} [{low:.3f}, {high:.3f}]" in all_text(figure)


def test_half_is_marked_next_to_the_chosen_threshold() -> None:
    axes = roc_curve(OBSERVED, PROBABILITY, event="M1.0", threshold=0.1).axes[0]
    marked = [line.get_label() for line in axes.lines if "threshold" in line.get_label()]
    assert [label.split(",")[0] for label in marked] == ["threshold 0.1", "threshold 0.5"]


def test_a_chosen_threshold_of_half_is_marked_once() -> None:
    axes = roc_curve(OBSERVED, PROBABILITY, event="M1.0", threshold=0.5).axes[0]
    assert sum("threshold" in line.get_label() for line in axes.lines) == 1


def test_each_reference_has_a_curve_of_its_own_with_its_area() -> None:
    references = {f"reference {k}": np.roll(PROBABILITY, k) for k in range(1, 9)}
    axes = roc_curve(OBSERVED, PROBABILITY, event="M1.0", references=references).axes[0]
    shown = [line for line in axes.lines if line.get_label().startswith("reference")]
    areas = [f"{name}: {roc_area(OBSERVED, chance):.3f}" for name, chance in references.items()]
    assert [line.get_label() for line in shown] == areas
    assert len({(line.get_color(), line.get_linestyle()) for line in shown}) == 8
