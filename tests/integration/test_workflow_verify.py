"""``verify`` as a whole: the report, its run, bad input, and published scores of real forecasts."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from flare.config.verify import VerifyConfig
from flare.errors import FlareError
from flare.workflows.verify import run

from workplace import tree, working_in

#: Folder of Leka & Park 2019, doi:10.7910/DVN/HYP74O, with SF.FC.C1.csv, SF.FC.M1.csv.
REAL = os.environ.get("FLARE_OPERATIONAL_FORECASTS", "")
needs_real = pytest.mark.skipif(
    not REAL, reason="FLARE_OPERATIONAL_FORECASTS is not the folder of the real forecasts"
)

N = 120


@pytest.fixture(scope="module")
def invented(tmp_path_factory) -> Path:
    """A folder with forecasts of two methods of 120 days and a flare list, shaped as real ones."""
    folder = tmp_path_factory.mktemp("invented")
    random = np.random.default_rng(1)
    days = pd.date_range("2016-01-01", periods=N, tz="UTC")
    rate = random.beta(1, 3, N)
    seen = random.random(N) < rate
    tables = {}
    for name, noise in (("good", 0.05), ("poor", 0.5)):
        chance = np.clip(rate + noise * random.normal(size=N), 0, 1)
        tables[name] = pd.DataFrame(
            {"DATE": days.strftime("%Y-%m-%d"), "C1+": np.sqrt(chance), "M1+": chance}
        ).round(3)
    tables["poor"].loc[:9, "M1+"] = -1.0
    tables["percent"] = tables["good"].assign(**{"M1+": 30.0})
    tables["negative"] = tables["good"].assign(**{"M1+": -0.01})
    peaks = [days[0] - pd.Timedelta(days=300), *(days[seen] + pd.Timedelta(hours=7))]
    peaks.append(days[-1] + pd.Timedelta(days=2))
    classes = ["C1.0", *(["M1.5"] * int(seen.sum())), "C2.0"]
    flares = pd.DataFrame(
        {"peak_time": [f"{one:%Y-%m-%dT%H:%MZ}" for one in peaks], "goes_class": classes}
    )
    tables |= {"flares": flares, "empty": flares[:0], "short": flares[:5]}
    tables["classless"] = flares.assign(goes_class="Q1")
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.fixture
def place(invented) -> Iterator[Path]:
    """Work in that folder, which has a store of its own."""
    with working_in(invented):
        yield invented


def config(**given: object) -> VerifyConfig:
    settings = {
        "forecasts": "good.csv,poor.csv",
        "events": "flares.csv",
        "columns": "time=DATE,p_C1.0=C1+,p_M1.0=M1+",
        "time_zone": "UTC",
        "resamples": 100,
        "output_dir": "report",
    }
    return VerifyConfig(**{**settings, **given})


def test_a_verification_writes_its_report_and_its_run(place):
    verified = run(config())
    report = json.loads((place / "report" / "report.json").read_text())
    assert report["methods"] == ["good", "poor"]
    assert report["missing"]["M1.0"]["poor"] == 10
    assert report["suspect"] == {}
    names = {path.name for path in (place / "report").rglob("*.*")}
    assert {"report.html", "report.md", "scores.csv", "differences.csv", "samples.csv",
            "skill_M1.0.png", "reliability_C1.0.svg", "murphy_M1.0.png"} <= names  # fmt: skip
    result = verified.verification
    assert result.against("M1.0", result.climatology)["good"][0].low > 0
    one, other = (
        result.against("M1.0", second)[first][0]
        for first, second in (("good", "poor"), ("poor", "good"))
    )
    assert (one.value, one.low, one.high) == (-other.value, -other.high, -other.low)
    tracked = mlflow.get_run(verified.run_id)
    skill = result.get("M1.0", "good", "brier_skill_score").value
    assert tracked.data.metrics["verify/M1.0/brier_skill_score/good"] == pytest.approx(skill)
    assert tracked.data.tags["flare.screening"] == "ok"
    names = {one.dataset.name for one in tracked.inputs.dataset_inputs}
    assert names == {"good, poor", "flares"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"forecasts": ""}, "forecasts is empty; pass -P forecasts="),
        ({"forecasts": "none.csv"}, "no file none.csv"),
        ({"columns": "time=DATE,p_M1.0=M+"}, "good.csv has no column 'M+'; it has DATE, C1+, M1+"),
        ({"columns": ""}, "has no column of the time"),
        ({"columns": "time=DATE"}, "has no column of the probability, such as p_M1.0"),
        ({"time_zone": ""}, "'2016-01-01' has no zone; write such as 2016-01-01T00:00Z"),
        ({"forecasts": "negative.csv"}, "a probability of -0.01; pass -P negative=missing if"),
        ({"forecasts": "percent.csv"}, "a probability of 30; pass -P units=percent"),
        ({"forecasts": "good.csv,good.csv"}, "120 duplicated forecasts: good has two for 2016"),
        ({"window": "48h"}, "windows of 48 h overlap the one before: good at 2016-01-02"),
        ({"events": "empty.csv"}, "empty.csv has no rows"),
        ({"events": "short.csv"}, "windows end; use a longer list, or pass -P events_until="),
        ({"events": "classless.csv"}, "'Q1' is not a GOES class"),
        ({"methods": "good,best"}, "there is no 'best'; there are good, poor"),
        ({"bootstrap": "region"}, "bootstrap=region, but the forecasts have no regions"),
        ({"block_days": 400.0}, "all samples are in one block of 400 days"),
        ({"events": None}, "no outcomes of C1.0: pass a flare list, -P events=FILE"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line_and_leaves_no_file(place, given, said):
    before = tree(place)
    with pytest.raises(FlareError) as caught:
        run(config(**given))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tree(place) == before


def test_parameters_that_cannot_be_right_are_refused_before_anything_is_read(place):
    with pytest.raises(FlareError, match="output_dir"):
        run(config(output_dir=place / "good.csv" / "report"))
    with pytest.raises(ValueError, match="NAME=COLUMN"):
        config(columns="DATE")


#: The complete cases of the published tables.
NINE = "ASSA,CLIM120,DAFFS,GDAFFS,MCEVOL,MCSTAT,NICT,NOAA,SIDC"

#: Dimitriadis, Gneiting, Jordan & Vogel 2024: score, MCB, DSC, UNC of C1.0 forecasts.
PUBLISHED = {
    "NOAA": ([0.144, 0.006, 0.073, 0.211], [0.449, 0.027, 0.191, 0.614],
             [0.205, 0.004, 0.102, 0.303]),
    "SIDC": ([0.172, 0.014, 0.053, 0.211], [0.515, 0.036, 0.135, 0.614],
             [0.263, 0.038, 0.078, 0.303]),
    "ASSA": ([0.184, 0.007, 0.035, 0.211], [np.inf, np.inf, 0.085, 0.614],
             [0.273, 0.006, 0.036, 0.303]),
    "MCSTAT": ([0.193, 0.034, 0.052, 0.211], [0.587, 0.101, 0.128, 0.614],
               [0.275, 0.042, 0.071, 0.303]),
}  # fmt: skip


def real(event: str, **given: object) -> VerifyConfig:
    return VerifyConfig(
        forecasts=f"{REAL}/SF.FC.{event[:2]}.csv",
        columns=f"time=VALID_DATE,p_{event}=*,o_{event}=rlz.{event[:2]}",
        time_zone="UTC",
        negative="missing",
        resamples=100,
        output_dir=Path("report"),
        **given,
    )


@needs_real
def test_the_published_tables_of_real_forecasts_come_out_to_three_decimals(elsewhere):
    result = run(real("C1.0", methods=NINE, missing="common")).verification
    for method, tables in PUBLISHED.items():
        for kind, score, expected in zip(
            ("brier", "log", "misclassification"),
            ("brier_score", "log_score", "misclassification_rate"),
            tables,
            strict=True,
        ):
            parts = ("miscalibration", "discrimination", "uncertainty")
            names = [score, *(f"{kind}_{part}" for part in parts)]
            scores = [result.get("C1.0", method, name) for name in names]
            assert scores[0].n == 577
            values = [one.value for one in scores]
            np.testing.assert_allclose(values, expected, atol=5.001e-4)


@needs_real
@pytest.mark.parametrize("event", ["C1.0", "M1.0"])
def test_scores_of_real_forecasts_equal_an_independent_recomputation(elsewhere, event):
    known = pd.read_csv(f"{REAL}/recomputed_scores.csv")
    known = known[(known["ev"] == event[0]) & (known["method"] != "AEFFORT")]
    result = run(real(event, methods=",".join(known["method"]))).verification
    for row in known.itertuples():
        ours = {one.name: one for one in result.scores[event][row.method]}
        assert (ours["brier_score"].n, ours["brier_score"].n_events) == (row.n, row.pos)
        for name, value in {
            "accuracy": row.PC,
            "true_skill_statistic": row.TSS,
            "brier_skill_score": row.BSS,
            "gilbert_skill_score": row.ETS,
            "appleman_skill_score": row.ApSS,
            "roc_skill_score": row.ROCSS,
        }.items():
            assert ours[name].value == pytest.approx(value, abs=1e-3), (row.method, name)


def test_the_predictions_of_an_evaluation_are_verified_as_they_are(models, at_home, tmp_path):
    given = {
        "forecasts": str(models.evaluation.report / "predictions.csv"),
        "events": None,
        "columns": "",
        "time_zone": "",
        "bootstrap": "region",
        "output_dir": tmp_path / "report",
    }
    result = run(config(**given)).verification
    comparison = models.evaluation.comparison
    card = comparison.scorecards[comparison.model]
    assert result.samples.by_region
    for event, name in (("M1.0", "brier_skill_score"), ("flux", "log10_flux_mae")):
        ours = result.get(event, "predictions", name).value
        assert ours == pytest.approx(card.value(event, name)), name
