"""Validation forecasts as a run keeps them: they come back as they were, or not at all."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hand_made import EVENTS, TRUTH, scorecard

from flare.forecast import Forecast
from flare.tracking.registry import RegisteredVersion
from flare.tracking.tags import VALIDATION_SCORES
from flare.workflows.fitting import validation_forecasts
from flare.workflows.fitting.validation_forecasts import (
    FORECASTS,
    log_validation_forecasts,
    read_scores,
    read_validation_forecasts,
)

VERSION = RegisteredVersion("solar-flare", 1, "a" * 32, "cnn")
IDS = [f"{region}_2012_01_01_00_00_00_{k % 5}" for k, region in enumerate(TRUTH.active_region)]
TABLE = pd.DataFrame(
    {"id": IDS, "active_region": TRUTH.active_region, "peak_flux": TRUTH.peak_flux}
)


class FolderRun:
    """A run that keeps its artifacts in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def log_text(self, text: str, name: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def log_json(self, content: object, name: str) -> None:
        self.log_text(json.dumps(content, allow_nan=False), name)


@pytest.fixture
def forecast() -> Forecast:
    """Forecasts with all the digits that a float64 has."""
    rng = np.random.default_rng(0)
    flux = rng.normal(-6, 1, 60)
    probability = np.sort(rng.random((60, len(EVENTS))))[:, ::-1]
    return Forecast(flux, flux - rng.random(60), flux + rng.random(60), probability, EVENTS, RATES)


RATES = dict(zip(EVENTS, (1 / 3, 0.1 + 0.2, 1e-3 / 7, 0.5), strict=True))


@pytest.fixture
def run_folder(tmp_path, monkeypatch, forecast):
    """The folder of a run that stored everything."""

    def fetch(_run_id, name):
        path = tmp_path / name
        return path.read_text(errors="replace") if path.is_file() else None

    monkeypatch.setattr(validation_forecasts, "run_text", fetch)
    card = scorecard()
    thresholds = {"thresholds": forecast.thresholds}
    log_validation_forecasts(FolderRun(tmp_path), card, forecast, TABLE)
    content = card.as_dict() | thresholds
    (tmp_path / VALIDATION_SCORES).write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def test_forecasts_labels_and_scores_come_back_to_the_last_digit(run_folder, forecast):
    result = read_validation_forecasts(VERSION)
    for name in ("log10_flux", "lower", "upper", "probability"):
        np.testing.assert_array_equal(getattr(result.forecast, name), getattr(forecast, name))
    assert result.forecast.events == forecast.events
    assert result.forecast.thresholds == forecast.thresholds
    assert result.ids == tuple(IDS)
    np.testing.assert_array_equal(result.observations.peak_flux, TRUTH.peak_flux)
    np.testing.assert_array_equal(result.observations.active_region, TRUTH.active_region)
    assert repr(read_scores(VERSION).scores) == repr(scorecard().scores)


MUCH = b"id,active_region,peak_flux,log10_flux\na,1,1e-6,much\n"


@pytest.mark.parametrize("name", [FORECASTS, VALIDATION_SCORES])
@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"[]", b'{"scores": 3}', MUCH])
def test_of_a_damaged_or_missing_file_nothing_comes_back(run_folder, name, content):
    if content is None:
        (run_folder / name).unlink()
    else:
        (run_folder / name).write_bytes(content)
    assert read_validation_forecasts(VERSION) is None
    assert (read_scores(VERSION) is None) == (name == VALIDATION_SCORES)
