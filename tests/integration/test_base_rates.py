"""Stated base rates: probabilities move by the odds, alarms stay, and reports say so."""

import json

import numpy as np
import pandas as pd
import pytest
from interrupting import stopped_after

from flare.config import EvaluateConfig, PredictConfig
from flare.errors import ConfigInvalid
from flare.workflows import evaluate, predict
from flare.workflows.prediction import predict_many

from workplace import working_in

RATE = 0.3
STATED = f"M1.0:{RATE}"


def moved(probability, own: float):
    """Return probabilities at the stated rate by the formula of the odds."""
    odds = probability / (1 - probability) * (RATE / (1 - RATE)) / (own / (1 - own))
    return odds / (1 + odds)


def own_rate(trained) -> float:
    return trained.forecaster.postprocessing.rates["M1.0"]


@pytest.fixture(scope="module")
def stated(models, home, tmp_path_factory):
    """The network's evaluation at a stated rate."""
    folder = tmp_path_factory.mktemp("stated")
    with working_in(home.folder):
        return evaluate.run(
            EvaluateConfig(
                data_dir=home.data, model="2", resamples=100, output_dir=folder, base_rates=STATED
            )
        )


def test_probabilities_of_an_evaluation_move_by_the_formula_of_the_odds_and_alarms_stay(
    stated, models
):
    plain, at_rate = (
        pd.read_csv(one.report / "predictions.csv") for one in (models.evaluation, stated)
    )
    before, after = (table["probability_M1.0"].to_numpy() for table in (plain, at_rate))
    np.testing.assert_allclose(after, moved(before, own_rate(models.network)), rtol=1e-9)
    assert (after < before).all()
    assert at_rate["alert"].tolist() == plain["alert"].tolist()


def test_an_evaluation_is_named_after_the_stated_rate(stated, fetch):
    label = "cnn v2 at stated rates M1.0 0.3"
    assert stated.comparison.model == label
    tags = fetch(stated.run_id).data.tags
    assert tags["flare.model"] == label
    assert tags["mlflow.runName"] == f"evaluate {label} on test"


def test_all_forecasts_of_the_table_are_moved_by_the_same_rule(stated, models):
    plain, at_rate = models.evaluation.comparison.forecasts, stated.comparison.forecasts
    references = [name for name in plain if name in at_rate]
    assert {"climatology", "persistence", "forest", "logistic regression"} <= set(references)
    for name in references:
        column = plain[name].events.index("M1.0")
        before, after = (one[name].probability[:, column] for one in (plain, at_rate))
        own = models.evaluation.comparison.scorecards[name].climatology["M1.0"]
        # At most: an event never becomes more likely than a weaker one.
        assert (after <= moved(before, own) + 1e-12).all()
        assert (after < before)[(before > 0) & (before < 1)].all()
    assert at_rate["climatology"].probability[0, column] == pytest.approx(RATE)


def test_a_report_says_the_stated_rate_next_to_the_models_own(stated, models):
    report = json.loads((stated.report / "report.json").read_text(encoding="utf-8"))
    assert report["stated_base_rates"] == {"M1.0": RATE}
    text = (stated.report / "report.md").read_text(encoding="utf-8")
    assert f"base rate {own_rate(models.network):#.2g}, moved to the stated 0.3" in text
    report = json.loads((models.evaluation.report / "report.json").read_text(encoding="utf-8"))
    assert report["stated_base_rates"] == {}


def test_one_forecast_moves_by_the_formula_and_keeps_its_alarm(models, at_home):
    sample = next(at_home.data.glob("test/*/*"))
    results = [
        predict.run(PredictConfig(input=sample, model="1", base_rates=text))
        for text in ("", STATED)
    ]
    assert results[1].model == "forest v1 at stated rates M1.0 0.3"
    (plain,), (at_rate,) = (result.rows for result in results)
    wanted = moved(plain["mx_probability"], own_rate(models.forest))
    assert at_rate["mx_probability"] == pytest.approx(wanted)
    assert at_rate["alert"] is plain["alert"]
    assert at_rate["alert_threshold"] == pytest.approx(
        moved(plain["alert_threshold"], own_rate(models.forest))
    )


@pytest.fixture
def forecast(models, at_home, tmp_path, monkeypatch):
    """Return a function that forecasts the test split in two batches."""
    monkeypatch.setattr(predict_many, "BATCH", 4)

    def ask(base_rates: str, **given):
        small = {"data_dir": at_home.data, "model": "1", "processes": 1}
        output = {"output": tmp_path / "p.csv", "base_rates": base_rates}
        return predict.run(PredictConfig(**small, **output, **given))

    return ask


def test_only_the_same_base_rate_continues_a_prediction(forecast):
    with stopped_after(1):
        forecast(STATED)
    for other in ("", "M1.0:0.35"):
        with pytest.raises(ConfigInvalid, match=r"has forecasts of another model; pass -P restart"):
            forecast(other)
    assert forecast(STATED).resumed == 4
