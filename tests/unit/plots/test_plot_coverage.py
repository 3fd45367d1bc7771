import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flare.errors import VerificationInvalid
from flare.plots.groups import error_against_missing, interval_coverage
from flare.verification.bootstrap import region_weights

PEAK_FLUX = np.array([1e-9, 1e-9, 2e-7, 3e-6, 5e-6, 2e-5, 4e-5, 6e-5, 8e-5, 2e-4])
FORECAST = np.linspace(-9, -4, 10)


def draw(forecast: np.ndarray = FORECAST, half: float = 1.0) -> Figure:
    return interval_coverage(forecast, forecast - half, forecast + half, PEAK_FLUX, nominal=0.9)


def measured(axes: Axes) -> list[float]:
    return next(line.get_ydata().tolist() for line in axes.lines if line.get_label() == "measured")


def names(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


def test_each_class_shows_the_share_of_its_labels_inside():
    inside = np.abs(np.log10(PEAK_FLUX) - FORECAST) <= 1
    by_class = draw().axes[1]
    letters = np.array(list("AABCCMMMMX"))
    assert measured(by_class) == [inside[letters == letter].mean() for letter in "ABCMX"]
    assert names(by_class)[0] == "quiet, A\n(2)"
    assert names(by_class)[3:] == ["M\n(4)", "X\n(1)"]


def test_forecasts_are_divided_into_levels_of_equally_many():
    assert [name.split("\n")[-1] for name in names(draw().axes[0])] == ["(2)"] * 5


def test_a_constant_forecast_has_one_level():
    by_level = draw(np.full(10, -5.5)).axes[0]
    assert names(by_level) == ["-5.5\n(10)"]


def test_the_legend_and_caption_say_nominal_and_measured():
    figure = draw(half=20)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["nominal 0.9", "all 1.000", "measured"]
    assert figure.get_supxlabel().startswith("The 90 % interval holds 100.0 % of 10 labels.")


def test_a_class_that_did_not_happen_has_a_place_and_no_point():
    peak_flux = np.full(4, 3e-6)
    forecast = np.full(4, -5.5)
    figure = interval_coverage(forecast, forecast - 1, forecast + 1, peak_flux, nominal=0.9)
    assert names(figure.axes[1])[4] == "X\n(0)"
    assert measured(figure.axes[1]) == [1.0]


N_MISSING = np.array([0, 0, 1, 2, 2, 40])
ERROR = np.array([0.1, 0.3, 0.5, 0.6, 0.7, 2.0])
BRIER = np.array([0.0, 0.1, 0.2, 0.2, 0.2, 1.0])


def draw_missing(n_missing: np.ndarray = N_MISSING, **given: object) -> Figure:
    return error_against_missing(n_missing, ERROR, BRIER, event="M1.0", **given)


def test_each_bin_shows_the_mean_error_of_its_samples():
    flux, brier, _ = draw_missing().axes
    np.testing.assert_allclose(flux.lines[1].get_xydata(), [[0, 0.2], [1, 0.6], [5, 2.0]])
    np.testing.assert_allclose(brier.lines[1].get_xydata(), [[0, 0.05], [1, 0.2], [5, 1.0]])


def test_each_bin_says_how_many_samples_it_has():
    counts = draw_missing().axes[-1]
    assert [text.get_text() for text in counts.texts] == ["2", "3", "0", "0", "0", "1"]
    names = [label.get_text() for label in counts.get_xticklabels()]
    assert names == ["0", "1–2", "3–5", "6–10", "11–20", "21–40"]


def test_only_bins_of_several_regions_have_an_interval():
    weights = region_weights(np.arange(6), n_resamples=200, seed=0)
    bars = draw_missing(weights=weights).axes[0].collections[0].get_segments()
    assert [bar[0][0] for bar in bars] == [0, 1]
    assert bars[0][:, 1].tolist() == [0.1, 0.3]


def test_without_weights_the_caption_says_that_there_are_no_intervals():
    assert draw_missing().get_supxlabel() == "Intervals: none."


def test_complete_samples_alone_are_said_to_be_nothing_to_compare():
    assert (
        draw_missing(np.zeros(6, dtype=np.int64)).get_supxlabel().startswith("Nothing to compare")
    )


def test_more_missing_images_than_there_are_is_refused():
    with pytest.raises(VerificationInvalid, match="0 to 41 missing images; wanted 0 to 40"):
        draw_missing(np.array([0, 0, 0, 0, 0, 41]))


def test_no_samples_are_refused():
    nothing = np.empty(0)
    with pytest.raises(VerificationInvalid, match=r"shape \(0,\)"):
        error_against_missing(nothing.astype(np.int64), nothing, nothing, event="M1.0")
