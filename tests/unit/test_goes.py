import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flare.errors import ConfigInvalid, InputInvalid
from flare.goes import (
    CLASS_LETTERS,
    EVENTS,
    QUIET_FLUX,
    class_index,
    class_letter,
    class_of_flux,
    event_outcomes,
    flux_of_class,
)


@pytest.mark.parametrize(
    ("goes_class", "flux"),
    [("A1.0", 1e-8), ("B4.2", 4.2e-7), ("C5", 5e-6), (" m2.3 ", 2.3e-5), ("X12.0", 1.2e-3)],
)
def test_a_class_is_its_decade_times_its_digits(goes_class, flux):
    assert flux_of_class(goes_class) == flux


@pytest.mark.parametrize("text", ["", "M", "2.3", "D1.0", "M-1", "M1.0X", "M1,0", "quiet"])
def test_what_is_not_a_class_is_refused_and_named(text):
    with pytest.raises(ConfigInvalid, match=f"'{text}' is not a GOES class"):
        flux_of_class(text)


def test_every_class_comes_back_from_its_flux_and_x_has_no_upper_end():
    classes = [f"{letter}{k / 10:.1f}" for letter in "BCM" for k in range(10, 100)]
    classes += [f"X{k / 10:.1f}" for k in range(10, 501)]
    assert [class_of_flux(flux_of_class(name)) for name in classes] == classes


@pytest.mark.parametrize(
    ("flux", "goes_class"),
    [
        (9.99e-6, "C9.9"),
        (math.nextafter(1e-5, 0), "C9.9"),
        (1e-5, "M1.0"),
        (9.99e-5, "M9.9"),
        (math.nextafter(1e-4, 0), "M9.9"),
        (1e-4, "X1.0"),
        (math.nextafter(1e-3, 0), "X10.0"),
        (QUIET_FLUX, "A0.1"),
    ],
)
def test_a_class_is_cut_off_and_not_rounded_up(flux, goes_class):
    assert class_of_flux(flux) == goes_class


@given(st.floats(1e-9, 1e-2))
def test_a_flux_lies_within_the_tenth_of_the_class_that_letter_and_index_say(flux):
    goes_class, letter = class_of_flux(flux), class_letter(flux)
    assert goes_class[0] == letter == CLASS_LETTERS[class_index(flux)]
    floor, step = flux_of_class(goes_class), flux_of_class(f"{letter}0.1")
    assert floor * (1 - 1e-6) <= flux < (floor + step) * (1 + 1e-6)


@pytest.mark.parametrize("flux", [-1e-9, math.nan, math.inf])
def test_a_flux_that_cannot_be_has_no_class(flux):
    with pytest.raises(InputInvalid, match="no GOES class"):
        class_letter(flux)


def test_outcomes_have_a_column_for_each_event_which_begins_at_its_threshold():
    outcomes = event_outcomes([1e-9, 2e-6, np.nextafter(1e-5, 0), 1e-5, 2e-4])
    assert outcomes.sum(axis=1).tolist() == [0, 2, 2, 3, 4]
    assert outcomes.shape == (5, len(EVENTS))


@pytest.mark.parametrize("label", [1.17647e-5, 1e-5 / 0.85, math.nextafter(1e-5 / 0.85, 0)])
def test_the_label_of_noaa_m1_is_an_event_on_the_scale_of_noaa(label):
    assert event_outcomes([label], ("M1.0",), scale="noaa").all()


def test_labels_from_1e_5_to_below_noaa_m1_are_events_in_the_files_and_not_for_noaa():
    # As 14 of the 176 labels >= 1e-5 in SDOBenchmark's test split: NOAA C8.5 to C9.9.
    labels = np.array([flux_of_class(f"C{k / 10}") for k in range(85, 100)]) / 0.85
    assert event_outcomes(labels, ("M1.0",)).all()
    assert not event_outcomes(labels, ("M1.0",), scale="noaa").any()


def test_every_noaa_class_keeps_its_events_through_the_scale_of_the_files():
    classes = [f"{letter}{k / 10}" for letter in "BCMX" for k in range(10, 100)]
    flux = np.array([flux_of_class(name) for name in classes])
    np.testing.assert_array_equal(event_outcomes(flux / 0.85, scale="noaa"), event_outcomes(flux))


def test_the_physical_flux_of_a_label_is_larger_than_noaas():
    # NOAA M1.0 of GOES 13-15 is 1.43e-5 W m^-2, so C7.0 is where the physical flux reaches 1e-5.
    labels = np.array([6.9e-6, 7.0e-6]) / 0.85
    assert event_outcomes(labels, ("M1.0",), scale="physical").tolist() == [[False], [True]]
