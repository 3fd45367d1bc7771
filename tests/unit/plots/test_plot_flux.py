import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from flare.plots.flux import confusion_matrix, interval_coverage, predicted_against_true
from flare.verification.bootstrap import region_weights

PEAK_FLUX = np.array([1e-9, 1e-9, 3e-7, 2e-6, 5e-5])
LOG10_FLUX = np.array([-6.0, -7.0, -6.5, -6.1, -5.0])
ALARM = np.array([False, True, False, True, True])


def draw(peak_flux: np.ndarray = PEAK_FLUX) -> Figure:
    return predicted_against_true(
        LOG10_FLUX, LOG10_FLUX - 0.5, LOG10_FLUX + 0.5, peak_flux, alarm=ALARM, event="C1.0",
        level=0.9,
    )  # fmt: skip


def points(axes: Axes) -> np.ndarray:
    """The places of all forecasts, by what is observed."""
    dots = [c.get_offsets().data for c in axes.collections if not isinstance(c, LineCollection)]
    return np.concatenate(dots)[np.argsort(np.concatenate(dots)[:, 0])]


def test_quiet_samples_stand_in_a_strip_of_their_own_and_not_at_a_flux():
    strip, main = draw().axes
    np.testing.assert_allclose(points(main)[:, 0], PEAK_FLUX[2:])
    np.testing.assert_allclose(np.sort(points(strip)[:, 1]), [1e-7, 1e-6])
    assert strip.get_xlabel() == "quiet, sorted\n(2 samples)"


def test_every_sample_has_its_interval_inside_the_axes():
    _, main = draw().axes
    bars = [c for c in main.collections if isinstance(c, LineCollection)]
    ends = np.array([segment[:, 1] for c in bars for segment in c.get_segments()])
    np.testing.assert_allclose(np.log10(ends[:, 1] / ends[:, 0]), 1.0)
    low, high = main.get_ylim()
    assert low < 10**-7.5
    assert high > 10**-4.5


@pytest.mark.parametrize("flux", [1e-9, 3e-6])
def test_samples_that_are_all_quiet_or_all_flaring_are_drawn_too(flux):
    draw(np.full(5, flux)).draw_without_rendering()  # warnings are errors


def test_the_legend_counts_what_came_of_the_alarms():
    labels = draw().axes[1].get_legend().get_texts()
    assert [label.get_text() for label in labels][1:] == [
        "correct negative of C1.0 (2)",
        "false alarm of C1.0 (1)",
        "hit of C1.0 (2)",
        "miss of C1.0 (0)",
    ]


def test_the_caption_says_how_many_labels_the_interval_holds():
    # Within half a decade: of 3e-7, 2e-6 and 5e-5 the first two, of the quiet ones none.
    text = draw().get_supxlabel().replace("\n", " ")
    assert text == (
        "Bars: the 90 % interval. It holds the label of 40 % of all 5 samples "
        "and 67 % of those that flare."
    )


def test_the_confusion_matrix_shows_each_count_in_its_place():
    counts = np.arange(25).reshape(5, 5)
    axes = confusion_matrix(counts).axes[0]
    shown = {tuple(map(int, t.get_position()[::-1])): int(t.get_text()) for t in axes.texts}
    assert shown == {index: int(count) for index, count in np.ndenumerate(counts)}


def test_the_shade_of_a_class_that_never_occurred_is_empty():
    counts = np.zeros((5, 5), dtype=np.intp)
    counts[1, 2] = 4
    image = confusion_matrix(counts).axes[0].images[0]
    assert image.get_array()[1, 2] == 1
    assert image.get_array().sum() == 1


OBSERVED = np.array([1e-9, 1e-9, 2e-7, 3e-6, 5e-6, 2e-5, 4e-5, 6e-5, 8e-5, 2e-4])
FORECAST = np.linspace(-9, -4, 10)


def coverage(
    forecast: np.ndarray = FORECAST, observed: np.ndarray = OBSERVED, *, half: float = 1.0
) -> Figure:
    weights = region_weights(np.arange(len(observed)), n_resamples=20, seed=0)
    ends = (forecast - half, forecast + half)
    return interval_coverage(forecast, *ends, observed, nominal=0.9, weights=weights)


def measured(axes: Axes) -> list[float]:
    return next(line.get_ydata().tolist() for line in axes.lines if line.get_label() == "measured")


def names(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


def test_coverage_is_the_share_of_labels_inside_by_class_and_by_fifths_of_the_forecasts():
    by_level, by_class = coverage().axes
    inside = np.abs(np.log10(OBSERVED) - FORECAST) <= 1
    letters = np.array(list("AABCCMMMMX"))
    assert measured(by_class) == [inside[letters == letter].mean() for letter in "ABCMX"]
    assert names(by_class)[0] == "quiet, A\n(2)"
    assert names(by_class)[3:] == ["M\n(4)", "X\n(1)"]
    assert [name.split("\n")[-1] for name in names(by_level)] == ["(2)"] * 5


def test_a_constant_forecast_has_one_level_and_a_class_that_did_not_happen_no_point():
    by_level, by_class = coverage(np.full(4, -5.5), np.full(4, 3e-6)).axes
    assert names(by_level) == ["-5.5\n(4)"]
    assert names(by_class)[4] == "X\n(0)"
    assert measured(by_class) == [1.0]


def test_the_legend_and_caption_say_nominal_and_measured():
    figure = coverage(half=20)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["nominal 0.9", "all 1.000", "measured"]
    assert figure.get_supxlabel().startswith("The 90 % interval holds 100.0 % of 10 labels.")
