"""Every sample of a folder into one file, whatever interrupts it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from interrupting import journal_of, stopped_after
from mlflow.artifacts import load_text

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
FORMATS = tuple(WRITERS)
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


@pytest.fixture(scope="module")
def whole(folder, home, many, tmp_path_factory):
    """The files of runs that nothing interrupted, by their ending."""
    place = tmp_path_factory.mktemp("whole")
    given = {"data_dir": many, "model": str(folder), "processes": 1}
    with working_in(home.folder):
        for suffix in FORMATS:
            predict.run(PredictConfig(**given, output=place / f"p{suffix}"))
    return {suffix: (place / f"p{suffix}").read_bytes() for suffix in FORMATS}


def test_every_sample_has_a_row_in_the_tables_order(forecast, many, tmp_path):
    result = forecast(tmp_path / "p.csv")
    table, read = pd.read_csv(tmp_path / "p.csv"), read_table(many, "test")
    assert table["id"].tolist() == read["id"].tolist() == [row["id"] for row in result.rows]
    assert table.columns[:5].tolist() == LABELLED
    assert table["observed_peak_flux_w_m2"].tolist() == read["peak_flux"].tolist()
    assert table["active_region"].tolist() == read["active_region"].tolist()
    assert table["issue_time"][0] == table["valid_from"][0] == "2014-01-01T12:00:00Z"
    assert table["valid_to"][0] == "2014-01-02T12:00:00Z"
    assert table["forecast_id"].is_unique
    assert set(table["status"]) == {"normal", "degraded", "abstain"}
    assert not table["seen_in_training"].any()
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]


def test_a_sample_without_images_has_a_row_without_a_forecast(forecast, tmp_path):
    result = forecast(tmp_path / "p.csv")
    row = pd.read_csv(tmp_path / "p.csv").iloc[20]
    assert result.without == [row["id"]]
    assert row["missing_images"] == 40
    assert row[["log_flux", "goes_class", "alert", "probability_M1.0"]].isna().all()
    assert row["observed_peak_flux_w_m2"] > 0


@pytest.mark.parametrize("model", ["1", "2"])
def test_a_batch_in_which_no_sample_can_be_forecast_is_passed_over(
    forecast, models, tmp_path, model
):
    data = write_tiny_dataset(tmp_path / "data", training_regions=1, test_regions=9)
    for name in read_table(data, "test")["id"][16:]:
        shutil.rmtree(sample_folder(data, "test", name))
    result = forecast(tmp_path / "p.csv", data_dir=data, model=model)
    assert (len(result.rows), len(result.without)) == (18, 2)


def test_the_numbers_are_those_of_the_evaluation(at_home, models, home, tmp_path):
    given = {"data_dir": home.data, "model": "2", "output": tmp_path / "p.csv"}
    predict.run(PredictConfig(**given))
    table = pd.read_csv(tmp_path / "p.csv")
    evaluated = pd.read_csv(models.evaluation.report / "predictions.csv")
    assert table["log_flux"].tolist() == pytest.approx(evaluated["log_flux"], rel=1e-5)
    assert table["goes_class"].tolist() == evaluated["goes_class"].tolist()


def test_the_batch_does_not_change_a_forecast(models, many):
    from flare.datasets.listing import list_samples
    from flare.datasets.sample_batches import decode_batch

    entries = list_samples(many, "test").entries[:16]
    batch = decode_batch([(entry.folder, entry.start) for entry in entries], 32)
    for trained in (models.forest, models.network):
        ask = trained.forecaster.predict
        together = ask(batch.cubes, batch.present).log10_flux
        alone = [ask(batch.cubes[k : k + 1], batch.present[k : k + 1]) for k in range(16)]
        single = np.concatenate([one.log10_flux for one in alone])
        assert together == pytest.approx(single, abs=1e-5)


def test_all_formats_hold_the_same_forecasts(whole, tmp_path):
    for suffix, content in whole.items():
        (tmp_path / f"p{suffix}").write_bytes(content)
    rows = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    lines = (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == rows
    chances, bright = (
        pd.DataFrame([row.pop(name) for row in rows]).add_prefix(prefix)
        for name, prefix in (("probabilities", "probability_"), ("brightness", "brightness_"))
    )
    wanted = pd.DataFrame(rows).join([chances, bright])
    for table in (pd.read_csv(tmp_path / "p.csv"), pd.read_parquet(tmp_path / "p.parquet")):
        assert set(table) == set(wanted)
        for name in ("log_flux", "missing_images", "window_hours", "probability_X1.0"):
            np.testing.assert_array_equal(
                table[name].to_numpy(dtype=np.float64, na_value=np.nan),
                wanted[name].to_numpy(dtype=np.float64, na_value=np.nan),
            )


def test_a_table_of_typed_columns_comes_out_of_parquet(whole, tmp_path):
    (tmp_path / "p.parquet").write_bytes(whole[".parquet"])
    table = pd.read_parquet(tmp_path / "p.parquet")
    kinds = {
        "issue_time": "datetime64[us, UTC]",
        "alert": "boolean",
        "window_hours": "Int64",
        "log_flux": "float64",
    }
    assert {name: str(table[name].dtype) for name in kinds} == kinds


@pytest.mark.parametrize(("suffix", "batches"), [(".json", 1), (".parquet", 2)])
def test_a_file_finished_in_two_runs_is_the_one_of_a_single_run(
    forecast, whole, tmp_path, caplog, suffix, batches
):
    caplog.set_level("INFO", logger="flare")
    output = tmp_path / f"p{suffix}"
    with stopped_after(batches):
        forecast(output)
    assert not output.exists()
    assert f"{16 * batches} of 40 samples are saved in {journal_of(output)}" in caplog.text
    result = forecast(output)
    assert result.resumed == 16 * batches
    assert f"resuming: {16 * batches} of 40 samples are done" in caplog.text
    assert output.read_bytes() == whole[suffix]
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
    assert output.read_bytes() == whole[".csv"]


def test_the_number_of_processes_does_not_change_the_file(forecast, whole, tmp_path):
    forecast(tmp_path / "p.json", processes=2)
    assert (tmp_path / "p.json").read_bytes() == whole[".json"]


def test_a_defect_in_the_middle_keeps_what_was_made(forecast, whole, tmp_path):
    with stopped_after(1, ZeroDivisionError):
        forecast(tmp_path / "p.csv")
    assert forecast(tmp_path / "p.csv").resumed == 16
    assert (tmp_path / "p.csv").read_bytes() == whole[".csv"]


def test_a_full_disk_at_the_end_keeps_the_forecasts(forecast, whole, tmp_path, monkeypatch):
    def full(*_given: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "p.csv"))

    with monkeypatch.context() as patch:
        patch.setattr(predict_many, "write_forecasts", full)
        with pytest.raises(OSError, match="No space left"):
            forecast(tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()
    assert forecast(tmp_path / "p.csv").resumed == 40
    assert (tmp_path / "p.csv").read_bytes() == whole[".csv"]


def test_another_model_does_not_continue_a_journal(forecast, models, tmp_path):
    with stopped_after(1):
        forecast(tmp_path / "p.csv")
    with pytest.raises(ConfigInvalid, match=r"has forecasts of another model; pass -P restart"):
        forecast(tmp_path / "p.csv", model="2")
    assert forecast(tmp_path / "p.csv", model="2", restart=True).resumed == 0


def test_changed_images_do_not_continue_a_journal(forecast, many, tmp_path):
    data = shutil.copytree(many, tmp_path / "data")
    with stopped_after(1):
        forecast(tmp_path / "p.csv", data_dir=data)
    next(data.glob("test/*/*/*.jpg")).unlink()
    with pytest.raises(ConfigInvalid, match=r"other data, or files that changed since; pass"):
        forecast(tmp_path / "p.csv", data_dir=data)


def test_the_same_model_by_another_name_continues_a_journal(forecast, models, tmp_path):
    with stopped_after(1):
        forecast(tmp_path / "p.csv")
    assert forecast(tmp_path / "p.csv", model="1").resumed == 16


def test_a_folder_without_a_table_gets_no_label_columns(forecast, many, tmp_path):
    forecast(tmp_path / "p.csv", data_dir=many / "test" / "12000")
    table = pd.read_csv(tmp_path / "p.csv")
    assert table.columns[:3].tolist() == ["id", "issue_time", "active_region"]
    assert not {"observed_peak_flux_w_m2", "seen_in_training"} & set(table)
    # In the names alone; the folder of a single region says no region.
    assert table["id"].tolist() == ["2014_01_01_00_00_00_0", "2014_01_01_00_00_00_1"]
    assert table["issue_time"].tolist() == ["2014-01-01T12:00:00Z", "2014-01-02T00:00:00Z"]
    assert table["active_region"].isna().all()


def test_without_a_table_the_forecasts_are_the_same(forecast, many, whole, tmp_path):
    bare = shutil.copytree(many / "test", tmp_path / "bare")
    (bare / "meta_data.csv").unlink()
    forecast(tmp_path / "p.csv", data_dir=bare)
    (tmp_path / "whole.csv").write_bytes(whole[".csv"])
    bare_table, table = (pd.read_csv(tmp_path / name) for name in ("p.csv", "whole.csv"))
    table = table[table["goes_class"].notna()]  # a folder that is missing is known to a table only
    for name in ("id", "issue_time", "active_region", "log_flux"):
        assert bare_table[name].tolist() == table[name].tolist()


def test_regions_that_the_model_has_seen_are_marked(forecast, home, tmp_path):
    for split, seen in (("training", True), ("test", False)):
        forecast(tmp_path / "p.csv", data_dir=home.data, split=split)
        assert pd.read_csv(tmp_path / "p.csv")["seen_in_training"].tolist() == [seen] * (
            16 if seen else 8
        )


def test_the_run_names_model_data_and_counts_and_keeps_the_file(
    forecast, newest, many, whole, tmp_path
):
    forecast(tmp_path / "p.csv")
    run = newest("predict")
    metrics = run.data.metrics
    assert (metrics["forecasts"], metrics["without_forecast"]) == (39, 1)
    assert sum(n for key, n in metrics.items() if key.startswith("classes/")) == 39
    assert 0 <= metrics["alert_share"] <= 1
    assert metrics["missing_images"] == 41
    wanted = {"flare.data": "tiny", "flare.synthetic": "true", "flare.model_synthetic": "true"}
    assert wanted.items() <= run.data.tags.items()
    assert load_text(f"runs:/{run.info.run_id}/p.csv").encode() == whole[".csv"]
    (data,) = run.inputs.dataset_inputs
    assert data.tags[0].value == "prediction"
    assert json.loads(data.dataset.profile) == {"samples": 40, "split": "test"}


def test_rejected_images_are_counted_and_listed_in_the_run(
    forecast, newest, many, tmp_path, caplog
):
    data = shutil.copytree(many / "test" / "12000", tmp_path / "data")
    image = next(data.glob("*/*__171.jpg"))
    image.write_bytes(b"no image")
    caplog.set_level("INFO", logger="flare")
    forecast(tmp_path / "p.csv", data_dir=data)
    assert "images masked as missing: 1 unreadable" in caplog.text
    listed = load_text(f"runs:/{newest('predict').info.run_id}/rejected_images.csv")
    assert listed.splitlines()[1] == f"{image.parent.name},{image.name},unreadable"


def test_without_a_place_given_the_file_goes_to_outputs(forecast, at_home):
    result = forecast(None)
    assert result.output == Path("outputs/predictions.csv")
    assert len(pd.read_csv(at_home.folder / "outputs" / "predictions.csv")) == 40


def test_a_folder_without_a_usable_image_leaves_nothing(forecast, tmp_path):
    (tmp_path / "data" / "one").mkdir(parents=True)
    (tmp_path / "data" / "one" / "2012-01-15T000000__131.jpg").write_bytes(b"no image")
    with pytest.raises(InputInvalid, match=r"no image in .*/data can be used"):
        forecast(tmp_path / "p.csv", data_dir=tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": "nonsense"}, ModelNotFound, "alias 'nonsense'"),
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
