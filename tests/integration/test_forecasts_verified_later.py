"""From an upload to its score: the server's history is verified with a flare list."""

import io
import zipfile
from pathlib import Path

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from real_server import serving

from flare.config.verify import VerifyConfig
from flare.errors import FlareError
from flare.forecast_history import HISTORY_FILE
from flare.tracking.registry import get_version, version_tags
from flare.workflows.prediction.resolve_model import resolve
from flare.workflows.verify import Verified, run

from workplace import tree


def zip_of(sample: Path) -> bytes:
    """Zip a sample's folder below that of its region."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in sample.iterdir():
            archive.write(path, path.relative_to(sample.parents[1]))
    return file.getvalue()


@pytest.fixture(scope="module")
def issued(home, models, tmp_path_factory) -> tuple[Path, list[dict]]:
    """The folder of a server that forecast from the first sample of each region, and its answers.

    In it are ``history.csv`` and ``flares.csv``: every second region has an M2 flare in its window.
    """
    folder = tmp_path_factory.mktemp("state")
    uri = f"sqlite:///{home.folder}/mlflow.db"
    samples = sorted(path for path in home.data.glob("*/*/*_0") if path.is_dir())
    with serving(folder, model="models:/solar-flare/1", tracking_uri=uri) as server:
        server.until(lambda: server.get("/ready").status_code == 200)
        url, headers = f"{server.address}/predict_images", {"Content-Type": "application/zip"}
        answers = [
            httpx.post(url, content=zip_of(sample), headers=headers, timeout=60).json()
            for sample in samples
        ]
        lines = len(samples) + 1
        server.until(lambda: server.get("/history.csv").text.count("\n") == lines)
        (folder / "history.csv").write_text(server.get("/history.csv").text)
    flares = pd.DataFrame(
        [
            (f"{pd.Timestamp(one['valid_from']) + pd.Timedelta(hours=5):%Y-%m-%dT%H:%MZ}",
             "M2.0", one["active_region"])
            for one in answers[::2]
        ]
        + [("2011-01-01T00:00Z", "C1.0", 11000), ("2015-01-01T00:00Z", "C1.0", 11000)],
        columns=["peak_time", "goes_class", "active_region"],
    )  # fmt: skip
    flares.to_csv(folder / "flares.csv", index=False)
    return folder, answers


def verified(folder: Path, **given: object) -> Verified:
    settings = {"events": folder / "flares.csv", "resamples": 100, "output_dir": Path("verified")}
    return run(VerifyConfig(**{**settings, **given}))


def brier_by_hand(answers: list[dict]) -> float:
    p = np.array([one["probabilities"]["M1.0"] for one in answers])
    return float(np.mean((p - (np.arange(len(p)) % 2 == 0)) ** 2))


def test_the_export_of_the_history_is_verified_as_it_is(issued, at_home):
    folder, answers = issued
    assert len({one["forecast_id"] for one in answers}) == len(answers) == 12
    result = verified(folder, forecasts=str(folder / "history.csv")).verification
    assert result.samples.by_region
    score = result.get("M1.0", "solar-flare 1", "brier_score")
    assert (score.n, score.n_events) == (12, 6)
    assert score.value == pytest.approx(brier_by_hand(answers))


def test_the_scores_of_a_version_are_logged_to_it_with_those_of_each_month(issued, at_home):
    folder, answers = issued
    since = {"model": "1", "history": folder, "since": "2014-01-01T00:00Z"}
    result = verified(folder, **since)
    score = result.verification.get("M1.0", "solar-flare 1", "brier_score")
    later = [one for one in answers if one["valid_from"] >= "2014"]
    assert score.value == pytest.approx(
        np.mean([(one["probabilities"]["M1.0"] - (k % 2 == 0)) ** 2 for k, one in enumerate(later)])
    )
    version = get_version("solar-flare", 1)
    tags = version_tags(version)
    assert tags["flare.verified_from"] == "2014-01-01"
    assert tags["flare.verified_run"] == result.run_id
    skill = result.verification.get("M1.0", "solar-flare 1", "brier_skill_score").value
    logged = mlflow.get_run(version.run_id).data.metrics
    assert logged["verified/M1.0/brier_skill_score"] == pytest.approx(skill)
    months = pd.read_csv("verified/months.csv")
    of_m1 = months[months["event"] == "M1.0"]
    assert of_m1["month"].tolist() == ["2014-01", "2014-02", "2014-03"]
    assert of_m1["n"].tolist() == [2, 1, 1]
    report = Path("verified/report.html").read_text()
    assert "Month by month" in report
    assert "unknown whether it moved: fewer than 20 forecasts" in report
    assert "brightness_94" in (folder / "history.csv").read_text()
    assert result.monitoring.drifts[0].missing_before == 0


def test_a_trained_model_has_a_record_of_its_training_inputs(models, at_home):
    for trained in (models.forest, models.network):
        stored = resolve(str(trained.version.version), "solar-flare").forecaster.training_inputs
        assert stored == trained.forecaster.training_inputs
        assert stored.n_samples + stored.n_forecasts == 16
        assert len(stored.probabilities["M1.0"]) == len(stored.brightness["94"]) == 101


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.assign(valid_from=t["valid_from"].str[:-1]), "has no zone"),
        (lambda t: t.assign(valid_to=t["valid_from"]), "is not after the beginning of the window"),
        (lambda t: pd.concat([t, t[:1]]), "1 duplicate forecast ids"),
        (lambda t: t[:0], "has no rows"),
        (lambda t: t.assign(valid_from=None), "no forecast has a valid_from"),
        (
            lambda t: t.assign(
                valid_from="2014-12-31T18:00:00Z",
                valid_to="2015-01-01T18:00:00Z",
                active_region=range(12000, 12012),
            ),
            "the flare list ends at 2015-01-01T00:00Z, before 12 of 12 windows end",
        ),
    ],
)
def test_a_bad_export_is_one_line_and_leaves_no_file(issued, elsewhere, change, said):
    folder, _ = issued
    change(pd.read_csv(folder / "history.csv")).to_csv("bad.csv", index=False)
    before = tree(elsewhere)
    with pytest.raises(FlareError) as caught:
        verified(folder, forecasts="bad.csv")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tree(elsewhere) == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "2"}, "has no forecasts of solar-flare 2; it has solar-flare 1"),
        ({"model": "1", "since": "2020-01-01T00:00Z"}, "no window lies between since=2020"),
        ({"model": "1", "history": Path("nowhere")}, "no file nowhere; pass the server's"),
        ({"model": "1", "since": "2020-01-01"}, "has no zone; write ISO 8601 with a zone"),
    ],
)
def test_forecasts_that_are_not_there_are_named(issued, at_home, given, said):
    folder, _ = issued
    with pytest.raises(ValueError, match=said):
        verified(folder, **{"history": folder / HISTORY_FILE, **given})


def test_a_flare_list_without_regions_is_refused_for_forecasts_of_regions(issued, elsewhere):
    folder, _ = issued
    flares = pd.read_csv(folder / "flares.csv").drop(columns="active_region")
    flares.to_csv("disk.csv", index=False)
    given = {"forecasts": str(folder / "history.csv"), "events": Path("disk.csv")}
    with pytest.raises(FlareError, match="no flare of the list has one; name its column"):
        verified(folder, **given)
    samples = verified(folder, **given, by="disk").verification.samples
    assert (samples.outcomes["M1.0"].sum(), samples.synthetic) == (6, True)
