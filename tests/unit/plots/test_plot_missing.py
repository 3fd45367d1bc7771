import numpy as np
import pytest
from matplotlib.figure import Figure

from flare.errors import VerificationInvalid
from flare.plots.groups import error_against_missing
from flare.verification.bootstrap import region_weights

N_MISSING = np.array([0, 0, 1, 2, 2, 40])
ERROR = np.array([0.1, 0.3, 0.5, 0.6, 0.7, 2.0])
BRIER = np.array([0.0, 0.1, 0.2, 0.2, 0.2, 1.0])


def draw(n_missing: np.ndarray = N_MISSING, **given: object) -> Figure:
    return error_against_missing(n_missing, ERROR, BRIER, event="M1.0", **given)


def test_each_bin_shows_the_mean_error_of_its_samples() -> None:
    flux, brier, _ = draw().axes
    np.testing.assert_allclose(flux.lines[1].get_xydata(), [[0, 0.2], [1, 0.6], [5, 2.0]])
    np.testing.assert_allclose(brier.lines[1].get_xydata(), [[0, 0.05], [1, 0.2], [5, 1.0]])


def test_each_bin_says_how_many_samples_it_has() -> None:
    counts = draw().axes[-1]
    assert [text.get_text() for text in counts.texts] == ["2", "3", "0", "0", "0", "1"]
    names = [label.get_text() for label in counts.get_xticklabels()]
    assert names == ["0", "1–2", "3–5", "6–10", "11–20", "21–40"]


def test_only_bins_of_several_regions_have_an_interval() -> None:
    weights = region_weights(np.arange(6), n_resamples=200, seed=0)
    bars = draw(weights=weights).axes[0].collections[0].get_segments()
    assert [bar[0][0] for bar in bars] == [0, 1]
    assert bars[0][:, 1].tolist() == [0.1, 0.3]


def test_without_weights_the_caption_says_that_there_are_no_intervals() -> None:
    assert draw().get_supxlabel() == "Intervals: none."


def test_complete_samples_alone_are_said_to_be_nothing_to_compare() -> None:
    assert draw(np.zeros(6, dtype=np.int64)).get_supxlabel().startswith("Nothing to compare")


def test_more_missing_images_than_there_are_is_refused() -> None:
    with pytest.raises(VerificationInvalid, match="0 to 41 missing images; wanted 0 to 40"):
        draw(np.array([0, 0, 0, 0, 0, 41]))


def test_no_samples_are_refused() -> None:
    nothing = np.empty(0)
    with pytest.raises(VerificationInvalid, match=r"shape \(0,\)"):
        error_against_missing(nothing.astype(np.int64), nothing, nothing, event="M1.0")
