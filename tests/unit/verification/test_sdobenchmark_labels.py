"""The references on SDOBenchmark's real test labels, where the variable of the environment
SDOBENCHMARK_TEST_LABELS names that file, its ``test/meta_data.csv``.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from flare.datasets.sdobenchmark.labels import read_table
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.references.climatology import fit_climatology, fit_constant
from flare.verification.inputs import Observations
from flare.verification.scorecard import Scorecard, score_forecasts

LABELS = os.environ.get("SDOBENCHMARK_TEST_LABELS", "")
PUBLISHED_CONSTANT = 5.294e-7  # the median of the training labels, W m^-2

pytestmark = pytest.mark.skipif(
    not Path(LABELS).is_file(), reason="SDOBENCHMARK_TEST_LABELS names no file of test labels"
)


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdobenchmark")
    (folder / "test").mkdir()
    shutil.copy(LABELS, folder / "test" / "meta_data.csv")
    return read_table(folder, "test")


def card_of(fit, flux, labels, **options) -> Scorecard:
    """Fit a reference, which looks at no image, and score it on the labels."""
    spec, origin = ForecasterSpec(image_size=32), Origin("f" * 16, "sdobenchmark", False, (1,), 1)
    cubes = np.zeros((1, 4, 10, 32, 32), dtype=np.uint8)
    reference = fit(flux, spec=spec, origin=origin, **options)
    one = reference.predict(cubes, np.zeros((1, 4, 10), dtype=np.bool_))
    forecast = one.take(np.zeros(len(labels), dtype=np.intp))
    return score_forecasts(forecast, Observations.from_table(labels), n_resamples=2)


def test_the_references_have_their_published_scores(labels):
    assert len(labels) == 886
    flux = labels["peak_flux"].to_numpy()
    constant = card_of(fit_constant, flux, labels, stated=PUBLISHED_CONSTANT)
    assert constant.value("flux", "flux_mae") == pytest.approx(1.5359e-5, abs=5e-10)
    assert constant.value("flux", "log10_flux_mae") == pytest.approx(1.452, abs=5e-4)
    # 514 of 8,336 training labels and 176 of 886 test labels reach 1e-5 W m^-2.
    training = np.where(np.arange(8336) < 514, 1e-5, 1e-9)
    climatology = card_of(fit_climatology, training, labels)
    assert climatology.value("M1.0", "brier_skill_score") == pytest.approx(-0.118, abs=5e-4)
