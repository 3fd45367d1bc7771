import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from flare.errors import VerificationInvalid
from flare.plots.flux import confusion_matrix, predicted_against_true
from flare.plots.style import save

PEAK_FLUX = np.array([1e-9, 1e-9, 3e-7, 2e-6, 5e-5])
LOG10_FLUX = np.array([-6.0, -7.0, -6.5, -6.1, -5.0])


def draw(peak_flux: np.ndarray) -> tuple:
    log10_flux = LOG10_FLUX[: len(peak_flux)]
    figure = predicted_against_true(log10_flux, log10_flux - 0.5, log10_flux + 0.5, peak_flux)
    return figure, *figure.axes


def points(axes: object) -> np.ndarray:
    return axes.collections[1].get_offsets().data


def test_quiet_samples_stand_in_a_strip_of_their_own_and_not_at_a_flux():
    _, strip, main = draw(PEAK_FLUX)
    np.testing.assert_allclose(points(main)[:, 0], PEAK_FLUX[2:])
    np.testing.assert_allclose(np.sort(points(strip)[:, 1]), [1e-7, 1e-6])
    assert "quiet" in strip.get_xlabel()
    assert "(2 samples)" in strip.get_xlabel()


def test_every_sample_has_its_interval():
    _, _, main = draw(PEAK_FLUX)
    bars = next(c for c in main.collections if isinstance(c, LineCollection))
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(np.log10(ends[:, 1] / ends[:, 0]), 1.0)


def test_all_of_what_was_forecast_is_inside_the_axes():
    _, _, main = draw(PEAK_FLUX)
    low, high = main.get_ylim()
    assert low < 10**-7.5
    assert high > 10**-4.5


@pytest.mark.parametrize("peak_flux", [np.full(5, 1e-9), np.full(5, 3e-6)])
def test_samples_that_are_all_quiet_or_all_flaring_are_drawn_too(peak_flux, tmp_path):
    figure, *_ = draw(peak_flux)
    assert save(figure, tmp_path / "figure.png").stat().st_size > 0


def test_a_forecast_without_its_label_is_refused():
    with pytest.raises(VerificationInvalid, match=r"log10_flux has shape \(5,\)"):
        predicted_against_true(LOG10_FLUX, LOG10_FLUX, LOG10_FLUX, PEAK_FLUX[:4])


ALARM = np.array([False, True, False, True, True])


def coloured(peak_flux: np.ndarray = PEAK_FLUX, event: str = "C1.0") -> Figure:
    return predicted_against_true(
        LOG10_FLUX, LOG10_FLUX - 0.5, LOG10_FLUX + 0.5, peak_flux, alarm=ALARM, event=event,
        level=0.9,
    )  # fmt: skip


def test_the_legend_counts_what_came_of_the_alarms():
    labels = coloured().axes[1].get_legend().get_texts()
    assert [label.get_text() for label in labels][1:] == [
        "correct negative of C1.0 (2)",
        "false alarm of C1.0 (1)",
        "hit of C1.0 (2)",
        "miss of C1.0 (0)",
    ]


def test_the_caption_says_how_many_labels_the_interval_holds():
    # Within half a decade: of 3e-7, 2e-6 and 5e-5 the first two, of the quiet ones none.
    text = coloured().get_supxlabel().replace("\n", " ")
    assert text == (
        "Bars: the 90 % interval. It holds the label of 40 % of all 5 samples "
        "and 67 % of those that flare."
    )


def test_alarms_of_another_number_of_samples_are_refused():
    with pytest.raises(VerificationInvalid, match=r"alarm has shape \(2,\)"):
        predicted_against_true(
            LOG10_FLUX, LOG10_FLUX, LOG10_FLUX, PEAK_FLUX, alarm=np.array([True, False])
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
