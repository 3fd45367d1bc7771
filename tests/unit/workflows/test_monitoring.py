"""Which forecasts of a history count, and whether the input moved or the score fell."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from known_models import climatology_of

from flare.config.verify import VerifyConfig
from flare.forecasters.training_inputs import fit_training_inputs
from flare.sample import CHANNELS, plane_sums
from flare.verification.scores import Score
from flare.workflows.verifying.forecasts import read_forecasts
from flare.workflows.verifying.monitoring import input_drifts, monitoring

N = 60


def history(**changes: object) -> pd.DataFrame:
    """Return the export of a version that forecast one region on sixty days."""
    days = pd.date_range("2026-01-01", periods=N, tz="UTC")
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "forecast_id": [f"id{k}" for k in range(N)],
            "issue_time": days.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "valid_from": days.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "valid_to": (days + pd.Timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "active_region": "12673",
            "model_name": "m",
            "model_version": "3",
            "probability_M1.0": rng.random(N).round(3),
            "status": "normal",
            "missing": "",
            **{f"brightness_{name}": rng.normal(100, 3, N).round(2) for name in CHANNELS},
        }
    )
    return table.assign(**changes)


def read(table: pd.DataFrame, folder: Path) -> tuple[pd.DataFrame, list[str]]:
    table.to_csv(folder / "history.csv", index=False)
    return read_forecasts([folder / "history.csv"], VerifyConfig())


def some(value: object, other: object, n: int = 2) -> list[object]:
    return [value] * n + [other] * (N - n)


@pytest.mark.parametrize(
    ("changes", "left", "note"),
    [
        ({}, N, None),
        ({"valid_from": some("", "2026-02-01T00:00:00Z")}, 1, "they have no valid_from"),
        ({"active_region": some("", "12673")}, N - 2, "they have no active region"),
    ],
)
def test_forecasts_that_cannot_be_verified_are_left_out_and_counted(tmp_path, changes, left, note):
    if "valid_from" in changes:
        changes = {**changes, "valid_to": "2026-02-02T00:00:00Z"}
    table, notes = read(history(**changes), tmp_path)
    assert len(table) == left
    assert (table["method"] == "m 3").all()
    assert any(note in one for one in notes) if note else notes == []


def test_the_last_of_several_forecasts_of_one_window_counts(tmp_path):
    twice = pd.concat([history(), history(forecast_id=[f"new{k}" for k in range(N)])])
    twice["time"] = [f"2026-04-01T00:00:{k:02d}Z" for k in (*range(30, 30 + 30), *range(30))] * 2
    twice.loc[twice["forecast_id"].str.startswith("new"), "time"] = "2026-05-01T00:00:00Z"
    twice.loc[twice["forecast_id"].str.startswith("new"), "probability_M1.0"] = 0.125
    table, notes = read(twice, tmp_path)
    assert (len(table), set(table["p_M1.0"])) == (N, {0.125})
    assert "60 of 120 forecasts left out: the same version" in notes[0]


def test_a_forecast_that_abstains_is_a_missing_forecast(tmp_path):
    table, notes = read(history(status=some("abstain", "normal")), tmp_path)
    assert table["p_M1.0"].isna().tolist() == [True, True] + [False] * (N - 2)
    assert notes == ["history.csv: 2 forecasts abstain and count as missing"]


def forecaster(*, recorded: bool = True):
    """Return a model whose training images have a brightness of 100, varying by 3."""
    rng = np.random.default_rng(4)
    cubes = np.clip(
        rng.normal(rng.normal(100, 6, (300, 4, 10, 1, 1)), 9, (300, 4, 10, 8, 8)), 0, 255
    )
    inputs = fit_training_inputs(
        plane_sums(cubes.astype(np.uint8)),
        np.ones((300, 4, 10), dtype=bool),
        {"M1.0": rng.random(300)},
        size=8,
    )
    return replace(climatology_of(), training_inputs=inputs if recorded else None)


BEFORE = [{"event": "M1.0", "name": "brier_skill_score", "value": 0.4, "low": 0.3, "high": 0.5}]


def said(table: pd.DataFrame, skill: float, *, recorded: bool = True) -> tuple[str, str]:
    now = Score("M1.0", "brier_skill_score", skill, skill - 0.1, skill + 0.1, N, 9)
    about = {"before": BEFORE, "scored_on": "test split", "notes": []}
    summary = monitoring([now], table, forecaster(recorded=recorded), **about)
    return summary.moved, " | ".join(summary.lines)


def test_an_input_that_moved_and_a_score_that_fell_are_told_apart(tmp_path):
    same, _ = read(history(), tmp_path)
    moved, _ = read(history(brightness_171=np.linspace(60, 70, N), missing="3:171"), tmp_path)
    assert said(same, 0.38)[0] == "none"
    assert "it did not fall beyond its intervals | nothing needs to be done" in said(same, 0.38)[1]
    assert "flare list, the event rate" in said(same, 0.1)[1]
    assert said(moved, 0.38)[0] == "171"
    assert "copes with the new input" in said(moved, 0.38)[1]
    assert "look at the instrument" in said(moved, 0.1)[1]
    row = input_drifts(moved, forecaster())[CHANNELS.index("171")]
    assert (row.moved, row.missing, row.missing_before) == (True, 0.25, 0)


def test_what_is_unknown_is_said(tmp_path):
    table, _ = read(history(), tmp_path)
    assert "no record of its training inputs; train it again" in said(table, 0.4, recorded=False)[1]
    assert said(table, 0.4, recorded=False)[0] == "unknown"
    without, _ = read(history().drop(columns=[f"brightness_{c}" for c in CHANNELS]), tmp_path)
    assert "have no columns brightness_" in said(without, 0.4)[1]
    few = table[:5]
    assert "fewer than 20 forecasts" in said(few, 0.4)[1]
