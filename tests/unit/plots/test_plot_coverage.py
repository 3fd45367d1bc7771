import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flare.plots.groups import interval_coverage

PEAK_FLUX = np.array([1e-9, 1e-9, 2e-7, 3e-6, 5e-6, 2e-5, 4e-5, 6e-5, 8e-5, 2e-4])
FORECAST = np.linspace(-9, -4, 10)


def draw(forecast: np.ndarray = FORECAST, half: float = 1.0) -> Figure:
    return interval_coverage(forecast, forecast - half, forecast + half, PEAK_FLUX, nominal=0.9)


def measured(axes: Axes) -> list[float]:
    return next(line.get_ydata().tolist() for line in axes.lines if line.get_label() == "measured")


def names(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


def test_each_class_shows_the_share_of_its_labels_inside() -> None:
    inside = np.abs(np.log10(PEAK_FLUX) - FORECAST) <= 1
    by_class = draw().axes[1]
    letters = np.array(list("AABCCMMMMX"))
    assert measured(by_class) == [inside[letters == letter].mean() for letter in "ABCMX"]
    assert names(by_class)[0] == "quiet, A\n(2)"
    assert names(by_class)[3:] == ["M\n(4)", "X\n(1)"]


def test_forecasts_are_divided_into_levels_of_equally_many() -> None:
    assert [name.split("\n")[-1] for name in names(draw().axes[0])] == ["(2)"] * 5


def test_a_constant_forecast_has_one_level() -> None:
    by_level = draw(np.full(10, -5.5)).axes[0]
    assert names(by_level) == ["-5.5\n(10)"]


def test_the_legend_and_caption_say_nominal_and_measured() -> None:
    figure = draw(half=20)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["nominal 0.9", "all 1.000", "measured"]
    assert figure.get_supxlabel().startswith("The 90 % interval holds 100.0 % of 10 labels.")


def test_a_class_that_did_not_happen_has_a_place_and_no_point() -> None:
    peak_flux = np.full(4, 3e-6)
    forecast = np.full(4, -5.5)
    figure = interval_coverage(forecast, forecast - 1, forecast + 1, peak_flux, nominal=0.9)
    assert names(figure.axes[1])[4] == "X\n(0)"
    assert measured(figure.axes[1]) == [1.0]
