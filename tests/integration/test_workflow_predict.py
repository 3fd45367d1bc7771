import json

import numpy as np
import pandas as pd
import pytest
from mlflow.artifacts import load_dict

from flare.config import PredictConfig
from flare.datasets.sdobenchmark import read_table
from flare.errors import ConfigInvalid, DatasetNotFound, InputInvalid, ModelNotFound
from flare.workflows import predict
from flare.workflows.predict import Forecasts

ANSWER = {
    "id", "peak_flux_w_m2", "log_flux", "flare_class", "is_mx_flare", "mx_probability",
    "goes_class", "flux_low_w_m2", "flux_high_w_m2", "interval_level", "probabilities", "alert",
    "alert_threshold", "window_hours", "synthetic", "missing_images",
}  # fmt: skip


@pytest.fixture
def forecast(models, at_home):
    def ask(given, **settings) -> Forecasts:
        return predict.run(PredictConfig(input=given, **{"model": "1"} | settings))

    return ask


@pytest.fixture
def sample(home):
    """The first test sample, which lacks an image of 211."""
    return read_table(home.data, "test")["folder"][0]


def test_a_folder_without_a_usable_image_gets_no_forecast(forecast, tmp_path):
    (tmp_path / "2012-01-15T000000__131.jpg").write_bytes(b"no image")
    with pytest.raises(InputInvalid, match=r"no image in .* can be used"):
        forecast(tmp_path)


def test_a_sample_folder_gets_one_answer_that_counts_its_missing_images(forecast, sample):
    (row,) = forecast(sample).rows
    assert set(row) == ANSWER
    assert (row["id"], row["missing_images"]) == (sample.name, 1)
    assert row["synthetic"] is True
    assert row["mx_probability"] == row["probabilities"]["M1.0"]
    assert row["flux_low_w_m2"] <= row["peak_flux_w_m2"] <= row["flux_high_w_m2"]


def test_the_same_sample_as_an_array_gets_the_same_answer(forecast, sample, tmp_path):
    from flare.datasets.sdobenchmark import infer_start, read_sample

    cube = read_sample(sample, infer_start(sample)).cube
    np.save(tmp_path / "planes.npy", cube.reshape(40, 256, 256))
    (from_array,) = forecast(tmp_path / "planes.npy").rows
    (from_folder,) = forecast(sample).rows
    assert from_array.pop("id") == "planes"
    assert from_folder.pop("id") == sample.name
    assert from_array == from_folder


def test_every_sample_of_a_split_is_forecast_in_the_tables_order(forecast, home):
    for split, count in (("test", 8), ("training", 16)):
        rows = forecast(home.data, split=split).rows
        assert [row["id"] for row in rows] == read_table(home.data, split)["id"].tolist()
        assert len(rows) == count


def test_a_dataset_gets_the_numbers_of_its_evaluation(forecast, home, models):
    rows = forecast(home.data, model="2").rows
    evaluated = pd.read_csv(models.evaluation.report / "predictions.csv")
    assert [row["log_flux"] for row in rows] == pytest.approx(evaluated["log_flux"], rel=1e-5)
    assert [row["goes_class"] for row in rows] == evaluated["goes_class"].tolist()


def test_a_folder_of_sample_folders_is_forecast_folder_by_folder(forecast, sample):
    rows = forecast(sample.parent).rows
    assert [row["id"] for row in rows] == sorted(path.name for path in sample.parent.iterdir())
    assert len(rows) == 2


def test_csv_and_json_hold_the_same_forecasts(forecast, home, tmp_path):
    rows = forecast(home.data, output=tmp_path / "new" / "a.json").rows
    forecast(home.data, output=tmp_path / "new" / "a.csv")
    assert json.loads((tmp_path / "new" / "a.json").read_text(encoding="utf-8")) == rows
    table = pd.read_csv(tmp_path / "new" / "a.csv")
    assert table["id"].tolist() == [row["id"] for row in rows]
    assert table["log_flux"].tolist() == pytest.approx([row["log_flux"] for row in rows])
    assert table["probability_X1.0"].tolist() == pytest.approx(
        [row["probabilities"]["X1.0"] for row in rows]
    )
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"a.json", "a.csv"}


def test_the_run_keeps_the_forecasts_and_names_the_model(forecast, newest, home):
    rows = forecast(home.data).rows
    run = newest("predict")
    assert run.data.metrics["forecasts"] == len(rows) == 8
    assert run.data.tags["flare.model"] == "forest v1"
    kept = load_dict(f"runs:/{run.info.run_id}/forecasts.json")
    assert kept == {"model": "forest v1", "forecasts": rows}


def test_a_truncated_image_is_masked_and_counted(forecast, sample, tmp_path):
    import shutil

    damaged = shutil.copytree(sample, tmp_path / sample.name)
    image = next(damaged.glob("*__171.jpg"))
    image.write_bytes(image.read_bytes()[:500])
    (row,) = forecast(damaged).rows
    assert row["missing_images"] == 2


def test_input_that_is_not_there_is_named(forecast, tmp_path):
    with pytest.raises(DatasetNotFound, match=r"no .*/nothing; give a sample folder"):
        forecast(tmp_path / "nothing")


def test_a_folder_of_something_else_is_named(forecast, tmp_path):
    (tmp_path / "inside").mkdir()
    with pytest.raises(DatasetNotFound, match=f"{tmp_path} holds neither .*; give"):
        forecast(tmp_path)


def test_a_text_file_called_npy_is_refused_by_its_name(forecast, tmp_path):
    (tmp_path / "text.npy").write_text("not an array")
    with pytest.raises(InputInvalid, match=r"text\.npy: .*numpy\.save"):
        forecast(tmp_path / "text.npy")


@pytest.mark.parametrize(
    ("output", "reason"), [("a.parquet", "ending in .csv or .json"), ("file/a.csv", "no folder")]
)
def test_a_bad_output_is_refused_before_any_forecast(
    forecast, sample, tmp_path, monkeypatch, output, reason
):
    monkeypatch.setattr(predict, "resolve", lambda *_given: pytest.fail("too late"))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigInvalid, match=f"output=.*{output.split('/')[0]}.*{reason}"):
        forecast(sample, output=tmp_path / output)


def test_without_a_promoted_version_the_error_has_the_command(forecast, sample):
    with pytest.raises(ModelNotFound, match=r"'Production' in sqlite:.*-e promote"):
        forecast(sample, model="Production", model_name="nobody")
