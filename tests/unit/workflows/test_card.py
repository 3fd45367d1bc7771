from dataclasses import replace

import numpy as np
import pytest
from hand_made import TRUTH, scorecard

from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.postprocessing.apply import PostProcessing
from flare.forecasters.references.climatology import fit_climatology
from flare.verification.inputs import Observations
from flare.workflows.fitting.model_card import model_card, postprocessing_lines

SPEC = ForecasterSpec(image_size=32)
ORIGIN = Origin("f" * 64, "tiny", True, (11000, 11010), 40)
NEVER = Observations(np.full(60, 1e-9), TRUTH.active_region)


def forecaster(*, synthetic=True, postprocessing=None):
    origin = replace(ORIGIN, synthetic=synthetic)
    made = fit_climatology(np.array([1e-9, 3e-6, 3e-5, 3e-4]), spec=SPEC, origin=origin)
    return made if postprocessing is None else made.with_postprocessing(postprocessing)


def card(one=None, **given):
    settings = {"label": "solar-flare version 3", "tags": {}, "run_id": "a" * 32, "commit": None}
    settings |= {"validation": scorecard()}
    return model_card(one or forecaster(), **settings | given)


def rows(text):
    """Return the cells of every table row."""
    return [
        [cell.strip() for cell in line.strip("|").replace("\\|", "\0").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


@pytest.mark.parametrize("synthetic", [True, False])
def test_only_a_model_of_synthetic_regions_is_warned_of_under_the_title(synthetic):
    text = card(forecaster(synthetic=synthetic))
    title, _, warning, *_ = text.splitlines()
    assert title == "# Model card: solar-flare version 3"
    assert warning.startswith("**SYNTHETIC: made from invented active regions.") is synthetic
    assert ("Made from real observations" in text) is not synthetic
    assert ("docs/synthetic.md" in text) is synthetic


def test_a_card_says_what_the_model_was_made_from_and_what_to_run_before_it_was_tested():
    text = card(tags={"flare.data": "mine", "flare.data_fingerprint": "abc", "flare.split": "?"})
    assert "- Data: mine, SYNTHETIC; fingerprint `abc`" in text
    assert "- 40 samples of 2 active regions" in text
    assert f"- Run `{'a' * 32}`, code `unknown`" in text
    assert "Not scored on a test split yet: `mlflow run . -e evaluate`." in text
    assert rows(text)[0] == ["score", "this version"]


def test_after_a_test_every_forecaster_has_a_column_in_the_order_given():
    test = {"cnn v3": scorecard(), "folder a|b": scorecard(), "climatology": scorecard(0)}
    text = card(test=test, test_name="tiny, test")
    assert "Not scored on a test split yet" not in text
    assert "| score | cnn v3 | folder a\\|b | climatology |" in text
    assert {len(row) for row in rows(text) if row[0] != "---" and len(row) > 2} == {4}
    assert "**tiny, test**: 60 samples of 12 active regions with 10 events of M1.0" in text


def test_a_version_whose_validation_was_not_stored_has_a_card_all_the_same():
    text = card(validation=None, test={"cnn v3": scorecard()})
    assert "**Validation**" not in text
    assert "Intervals are of 95 %" in text


def test_an_undefined_score_is_a_dash():
    text = card(validation=scorecard(truth=NEVER))
    result = {row[0]: row[1] for row in rows(text)}
    assert result["TSS M1.0"] == "-"
    assert result["log10-flux MAE (dex)"] != "-"
    assert "nan" not in text.lower()


def test_thresholds_are_listed_with_the_base_rates_that_are_known_or_stated():
    postprocessing = PostProcessing(rates={"M1.0": 0.25})
    lines = postprocessing_lines(forecaster(postprocessing=postprocessing))
    assert lines[2] == "M1.0: calibration none, base rate 0.25, decision threshold 0.50"
    assert lines[1] == "C1.0: calibration none, decision threshold 0.50"
    stated = postprocessing.at_rates({"M1.0": 0.1})
    line = postprocessing_lines(forecaster(postprocessing=stated))[2]
    assert "base rate 0.25, moved to the stated 0.1, decision threshold 0.25" in line
