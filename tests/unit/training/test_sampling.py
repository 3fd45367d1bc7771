"""Which rows make up an epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare.config.network_groups import ObjectiveOptions
from flare.goes import class_index
from flare.training.sampling import build_sampler, class_weights

BALANCED = ObjectiveOptions(sampling="class_balanced")
BY_REGION = ObjectiveOptions(sampling="region_balanced")

#: 400 labels as rare as in the dataset: 3 X, 21 M, 140 C, 60 B, 176 quiet; nine samples a region.
LABELS = np.repeat([2e-4, 3e-5, 4e-6, 5e-7, 1e-9], [3, 21, 140, 60, 176])
ROWS = 1000 + 2 * np.arange(len(LABELS))
REGIONS = np.sqrt(np.arange(len(LABELS))).astype(int)  # 1, 3, 5, ... samples

some_labels = st.lists(st.sampled_from(np.unique(LABELS).tolist()), min_size=1, max_size=60)


def epoch(objective, seed=0, labels=LABELS, rows=ROWS, regions=REGIONS):
    return build_sampler(objective, rows, labels, regions)(np.random.default_rng(seed))


def counts(sampled) -> np.ndarray:
    """Return how often each of ROWS was drawn."""
    return np.bincount((sampled - 1000) // 2, minlength=len(ROWS))


def test_naturally_every_row_is_drawn_once_in_the_order_that_the_generator_gives():
    expected = np.random.default_rng(5).permutation(ROWS)
    np.testing.assert_array_equal(epoch(ObjectiveOptions(), seed=5), expected)


@given(some_labels, st.sampled_from([ObjectiveOptions(), BALANCED, BY_REGION]), st.integers(0, 9))
def test_an_epoch_has_as_many_rows_as_the_split_and_no_others(labels, objective, seed):
    rows = 7 * np.arange(len(labels))
    sampled = epoch(objective, seed, np.array(labels), rows, np.arange(len(labels)) // 3)
    assert len(sampled) == len(rows)
    assert set(sampled) <= set(rows)


def test_of_balanced_classes_each_makes_up_a_quarter():
    classes = np.minimum(class_index(np.repeat(LABELS, counts(epoch(BALANCED)))), 3)
    np.testing.assert_array_equal(np.bincount(classes), [100, 100, 100, 100])


@pytest.mark.parametrize(("objective", "groups"), [(BALANCED, None), (BY_REGION, REGIONS)])
def test_within_a_class_or_region_no_row_is_drawn_two_times_more_than_another(objective, groups):
    groups = np.minimum(class_index(LABELS), 3) if groups is None else groups
    often = counts(epoch(objective))
    for group in np.unique(groups):
        assert np.ptp(often[groups == group]) <= 1


def test_of_balanced_regions_each_is_drawn_equally_often_give_or_take_one():
    of_region = np.bincount(REGIONS, counts(epoch(BY_REGION)))
    assert of_region.sum() == 400
    assert np.ptp(of_region) <= 1


def test_which_class_gets_the_odd_rows_changes_from_epoch_to_epoch():
    labels = np.array([1e-9] * 3 + [2e-6] * 2)  # of five rows one class gets three
    firsts = {
        int((epoch(BALANCED, seed, labels, np.arange(5), np.arange(5)) < 3).sum())
        for seed in range(20)
    }
    assert firsts == {2, 3}


def test_frequent_rows_left_out_of_one_epoch_come_in_another():
    often = sum(counts(epoch(BALANCED, seed)) for seed in range(60))
    assert often.min() > 0


@pytest.mark.parametrize("objective", [BALANCED, BY_REGION])
def test_the_generator_alone_decides(objective):
    np.testing.assert_array_equal(epoch(objective, 3), epoch(objective, 3))
    assert not np.array_equal(epoch(objective, 3), epoch(objective, 4))


def test_the_rows_come_mixed_and_not_class_by_class():
    first = class_index(LABELS[(epoch(BALANCED)[:100] - 1000) // 2])
    assert (np.bincount(np.minimum(first, 3), minlength=4) > 10).all()


@pytest.mark.parametrize(
    ("objective", "labels", "expected"),
    [
        # 100 of each where there are 176, 60, 140 and 24
        (BALANCED, LABELS, (100 / 176, 100 / 60, 100 / 140, 100 / 24, 100 / 24)),
        (BALANCED, np.array([1e-9, 1e-9, 1e-9, 2e-6]), (2 / 3, 1, 2, 1, 1)),  # others are missing
        (ObjectiveOptions(), LABELS, ()),
        (BY_REGION, LABELS, ()),
    ],
)
def test_weights_say_how_much_more_often_classes_are_sampled(objective, labels, expected):
    assert class_weights(objective, labels) == pytest.approx(expected)
