"""Every sample of a folder into one file, whatever interrupts it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from interrupting import journal_of, stopped_after
from mlflow import MlflowClient
from mlflow.artifacts import load_text
from mlflow.entities import Run

from flare.config import PredictConfig
from flare.datasets.sdobenchmark.labels import read_table
from flare.errors import ConfigInvalid, DatasetNotFound, InputInvalid, ModelNotFound
from flare.tracking.registry import download_uri
from flare.workflows import predict
from flare.workflows.prediction import predict_many
from flare.workflows.prediction.prediction_table import WRITERS, Forecasts

from tiny import sample_folder, write_tiny_dataset
from workplace import working_in

ROOT = Path(__file__).resolve().parents[2]
LABELLED = ["id", "issue_time", "active_region", "observed_peak_flux_w_m2", "seen_in_training"]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A dataset whose test split is three batches: 16, 16 and 8 samples, one without images."""
    data = write_tiny_dataset(
        tmp_path_factory.mktemp("many") / "tiny", training_regions=1, test_regions=20
    )
    shutil.rmtree(sample_folder(data, "test", read_table(data, "test")["id"][20]))
    return data


@pytest.fixture(scope="module")
def folder(home, models, tmp_path_factory):
    """The registered forest as a folder, which is read in no time."""
    with working_in(home.folder):
        return download_uri(models.forest.version.uri, tmp_path_factory.mktemp("model"))


@pytest.fixture
def forecast(folder, at_home, many):
    def ask(output: Path, **settings) -> Forecasts:
        given = {"data_dir": many, "model": str(folder), "processes": 1} | settings
        return predict.run(PredictConfig(output=output, **given))

    return ask


@dataclass(frozen=True)
class Whole:
    """What a prediction that nothing interrupted has made: ``files`` by their ending."""

    folder: Path
    forecasts: Forecasts
    run: Run

    @property
    def table(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / "p.csv")

    def content(self, suffix: str) -> bytes:
        return WRITERS[suffix](self.forecasts.rows)


@pytest.fixture(scope="module")
def whole(folder, home, many, tmp_path_factory):
    place = tmp_path_factory.mktemp("whole")
    given = {"data_dir": many, "model": str(folder), "processes": 1}
    with working_in(home.folder):
        forecasts = predict.run(PredictConfig(**given, output=place / "p.csv"))
        run = MlflowClient().search_runs(["0"], "tags.`flare.entry` = 'predict'", max_results=1)[0]
    return Whole(place, forecasts, run)


def test_every_sample_has_a_row_in_the_tables_order(whole, many):
    table, read = whole.table, read_table(many, "test")
    assert table["id"].tolist() == read["id"].tolist()
    assert table.columns[:5].tolist() == LABELLED
    assert table["observed_peak_flux_w_m2"].tolist() == read["peak_flux"].tolist()
    assert table["active_region"].tolist() == read["active_region"].tolist()
    assert table["issue_time"][0] == table["valid_from"][0] == "2014-01-01T12:00:00Z"
    assert table["valid_to"][0] == "2014-01-02T12:00:00Z"
    assert table["forecast_id"].is_unique
    assert set(table["status"]) == {"normal", "degraded", "abstain"}
    assert [path.name for path in whole.folder.iterdir()] == ["p.csv"]


def test_a_sample_without_images_has_a_row_without_a_forecast(whole):
    row = whole.table.iloc[20]
    assert whole.forecasts.without == [row["id"]]
    assert row["missing_images"] == 40
    assert row[["log_flux", "goes_class", "alert", "probability_M1.0"]].isna().all()
    assert row["observed_peak_flux_w_m2"] > 0


def test_the_run_names_model_data_and_counts_and_keeps_the_file(at_home, whole):
    run, metrics = whole.run, whole.run.data.metrics
    assert (metrics["forecasts"], metrics["without_forecast"]) == (39, 1)
    assert sum(n for key, n in metrics.items() if key.startswith("classes/")) == 39
    assert 0 <= metrics["alert_share"] <= 1
    assert metrics["missing_images"] == 41
    wanted = {"flare.data": "tiny", "flare.synthetic": "true", "flare.model_synthetic": "true"}
    assert wanted.items() <= run.data.tags.items()
    assert load_text(f"runs:/{run.info.run_id}/p.csv").encode() == whole.content(".csv")
    (data,) = run.inputs.dataset_inputs
    assert data.tags[0].value == "prediction"
    assert json.loads(data.dataset.profile) == {"samples": 40, "split": "test"}


def test_all_formats_hold_the_same_forecasts_and_parquet_has_types(whole, tmp_path):
    rows = json.loads(whole.content(".json"))
    assert [json.loads(line) for line in whole.content(".jsonl").splitlines()] == rows
    chances, bright = (
        pd.DataFrame([row.pop(name) for row in rows]).add_prefix(prefix)
        for name, prefix in (("probabilities", "probability_"), ("brightness", "brightness_"))
    )
    wanted = pd.DataFrame(rows).join([chances, bright])
    (tmp_path / "p.parquet").write_bytes(whole.content(".parquet"))
    typed = pd.read_parquet(tmp_path / "p.parquet")
    for table in (whole.table, typed):
        assert set(table) == set(wanted)
        for name in ("log_flux", "missing_images", "window_hours", "probability_X1.0"):
            np.testing.assert_array_equal(
                table[name].to_numpy(dtype=np.float64, na_value=np.nan),
                wanted[name].to_numpy(dtype=np.float64, na_value=np.nan),
            )
    kinds = {
        "issue_time": "datetime64[us, UTC]",
        "alert": "boolean",
        "window_hours": "Int64",
        "log_flux": "float64",
    }
    assert {name: str(typed[name].dtype) for name in kinds} == kinds


@pytest.mark.parametrize("model", ["1", "2"])
def test_a_batch_in_which_no_sample_can_be_forecast_is_passed_over(forecast, tmp_path, model):
    data = write_tiny_dataset(tmp_path / "data", training_regions=1, test_regions=9)
    for name in read_table(data, "test")["id"][16:]:
        shutil.rmtree(sample_folder(data, "test", name))
    result = forecast(tmp_path / "p.csv", data_dir=data, model=model)
    assert (len(result.rows), len(result.without)) == (18, 2)


def test_the_numbers_are_those_of_the_evaluation(forecast, models, home, tmp_path):
    forecast(tmp_path / "p.csv", data_dir=home.data, model="2")
    table = pd.read_csv(tmp_path / "p.csv")
    evaluated = pd.read_csv(models.evaluation.report / "predictions.csv")
    assert table["log_flux"].tolist() == pytest.approx(evaluated["log_flux"], rel=1e-5)
    assert table["goes_class"].tolist() == evaluated["goes_class"].tolist()


def test_the_batch_does_not_change_a_forecast(models, many):
    from flare.datasets.listing import list_samples
    from flare.datasets.sample_batches import decode_batch

    entries = list_samples(many, "test").entries[:4]
    batch = decode_batch([(entry.folder, entry.start) for entry in entries], 32)
    for trained in (models.forest, models.network):
        ask = trained.forecaster.predict
        together = ask(batch.cubes, batch.present).log10_flux
        alone = [ask(batch.cubes[k : k + 1], batch.present[k : k + 1]) for k in range(4)]
        single = np.concatenate([one.log10_flux for one in alone])
        assert together == pytest.approx(single, abs=1e-5)


@pytest.mark.parametrize(
    ("suffix", "batches", "error"),
    [(".json", 1, KeyboardInterrupt), (".parquet", 2, ZeroDivisionError)],
)
def test_a_file_finished_in_two_runs_is_the_one_of_a_single_run(
    forecast, whole, tmp_path, caplog, suffix, batches, error
):
    caplog.set_level("INFO", logger="flare")
    output = tmp_path / f"p{suffix}"
    with stopped_after(batches, error):
        forecast(output)
    assert not output.exists()
    saved = f"{16 * batches} of 40 samples are saved in {journal_of(output)}"
    assert (saved in caplog.text) == (error is KeyboardInterrupt)
    result = forecast(output, processes=2)
    assert result.resumed == 16 * batches
    assert f"resuming: {16 * batches} of 40 samples are done" in caplog.text
    assert output.read_bytes() == whole.content(suffix)
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


KILLED = """
import os, signal
from entrypoints import command, predict
from flare.config import PredictConfig
from flare.workflows.prediction.prediction_checkpoint import PredictionCheckpoint

real = PredictionCheckpoint.append

def append(self, batch):
    if self.records:
        self._file.write(b'[{"row": {"id": "torn')
        self._file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, batch)

PredictionCheckpoint.append = append
command.run("predict", PredictConfig, predict.main)
"""


def test_a_killed_process_leaves_what_the_next_one_continues_and_nobody_running(
    forecast, whole, folder, many, tmp_path
):
    output = tmp_path / "p.csv"
    arguments = [f"--data_dir={many}", f"--model={folder}", f"--output={output}", "--processes=2"]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        # Ends when the last process that holds the pipe does: those that read are gone too.
        said, _ = process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL, said
    assert not output.exists()
    assert journal_of(output).read_bytes().endswith(b"torn")
    assert forecast(output).resumed == 16
    assert output.read_bytes() == whole.content(".csv")


def test_a_full_disk_at_the_end_keeps_the_forecasts(forecast, whole, tmp_path, monkeypatch):
    def full(*_given: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "p.csv"))

    with monkeypatch.context() as patch:
        patch.setattr(predict_many, "write_forecasts", full)
        with pytest.raises(OSError, match="No space left"):
            forecast(tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()
    assert forecast(tmp_path / "p.csv").resumed == 40
    assert (tmp_path / "p.csv").read_bytes() == whole.content(".csv")


def test_only_the_same_model_by_any_name_and_unchanged_images_continue(forecast, many, tmp_path):
    data, output = shutil.copytree(many, tmp_path / "data"), tmp_path / "p.csv"
    with stopped_after(1):
        forecast(output, data_dir=data)
    with pytest.raises(ConfigInvalid, match=r"has forecasts of another model; pass -P restart"):
        forecast(output, data_dir=data, model="2")
    image = next(data.glob("test/*/*/*.jpg"))
    image.rename(tmp_path / "away.jpg")
    with pytest.raises(ConfigInvalid, match=r"other data, or files that changed since; pass"):
        forecast(output, data_dir=data)
    (tmp_path / "away.jpg").rename(image)
    assert forecast(output, data_dir=data, model="1").resumed == 16


def test_a_folder_without_a_table_has_the_same_forecasts_without_labels(
    forecast, many, whole, tmp_path
):
    bare = shutil.copytree(many / "test", tmp_path / "bare")
    (bare / "meta_data.csv").unlink()
    forecast(tmp_path / "p.csv", data_dir=bare)
    table, labelled = pd.read_csv(tmp_path / "p.csv"), whole.table
    assert not {"observed_peak_flux_w_m2", "seen_in_training"} & set(table)
    # A folder that is missing is known to a table only.
    labelled = labelled[labelled["goes_class"].notna()]
    for name in ("id", "issue_time", "active_region", "log_flux"):
        assert table[name].tolist() == labelled[name].tolist()


def test_the_folder_of_a_single_region_says_no_region_and_rejected_images_are_listed(
    forecast, newest, many, tmp_path, caplog
):
    data = shutil.copytree(many / "test" / "12000", tmp_path / "data")
    image = next(data.glob("*/*__171.jpg"))
    image.write_bytes(b"no image")
    caplog.set_level("INFO", logger="flare")
    forecast(tmp_path / "p.csv", data_dir=data)
    table = pd.read_csv(tmp_path / "p.csv")
    assert table["id"].tolist() == ["2014_01_01_00_00_00_0", "2014_01_01_00_00_00_1"]
    assert table["issue_time"].tolist() == ["2014-01-01T12:00:00Z", "2014-01-02T00:00:00Z"]
    assert table["active_region"].isna().all()
    assert "images masked as missing: 1 unreadable" in caplog.text
    listed = load_text(f"runs:/{newest('predict').info.run_id}/rejected_images.csv")
    assert listed.splitlines()[1] == f"{image.parent.name},{image.name},unreadable"


@pytest.mark.parametrize(("split", "seen"), [("training", [True] * 16), ("test", [False] * 8)])
def test_regions_that_the_model_has_seen_are_marked(forecast, home, tmp_path, split, seen):
    forecast(tmp_path / "p.csv", data_dir=home.data, split=split)
    assert pd.read_csv(tmp_path / "p.csv")["seen_in_training"].tolist() == seen


def test_without_a_place_given_the_file_goes_to_outputs(forecast, at_home):
    assert forecast(None, data_dir=at_home.data).output == Path("outputs/predictions.csv")
    assert len(pd.read_csv(at_home.folder / "outputs" / "predictions.csv")) == 8


def test_a_folder_without_a_usable_image_leaves_nothing(forecast, tmp_path):
    (tmp_path / "data" / "one").mkdir(parents=True)
    (tmp_path / "data" / "one" / "2012-01-15T000000__131.jpg").write_bytes(b"no image")
    with pytest.raises(InputInvalid, match=r"no image in .*/data can be used"):
        forecast(tmp_path / "p.csv", data_dir=tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"data_dir": Path("nowhere")}, DatasetNotFound, "no folder nowhere; give a dataset"),
        ({"model": "99"}, ModelNotFound, "no version 99"),
    ],
)
def test_what_is_not_there_is_named_and_nothing_is_written(
    forecast, tmp_path, settings, error, message
):
    with pytest.raises(error, match=message):
        forecast(tmp_path / "new" / "p.csv", **settings)
    assert list(tmp_path.iterdir()) == []
