import json
import shutil

import numpy as np
import pandas as pd
import pytest
from mlflow.artifacts import load_dict

from flare.config import PredictConfig
from flare.datasets.sdobenchmark.labels import read_table
from flare.datasets.sdobenchmark.sample_images import infer_start, read_sample
from flare.errors import ConfigInvalid, DatasetNotFound, InputInvalid, ModelNotFound
from flare.workflows import predict
from flare.workflows.prediction.prediction_table import Forecasts

ANSWER = {
    "id", "peak_flux_w_m2", "log_flux", "flare_class", "is_mx_flare", "mx_probability",
    "goes_class", "flux_low_w_m2", "flux_high_w_m2", "interval_level", "probabilities", "alert",
    "alert_threshold", "window_hours", "synthetic", "coherent", "missing_images", "scale",
    "forecast_id", "issue_time", "valid_from", "valid_to", "active_region", "model_name",
    "model_version", "input_digest", "status", "reasons", "out_of_range", "brightness", "missing",
}  # fmt: skip

#: What says which forecast it is.
IDENTITY = {
    "id", "forecast_id", "issue_time", "valid_from", "valid_to", "active_region", "input_digest",
}  # fmt: skip


def numbers(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in IDENTITY}


@pytest.fixture
def forecast(models, at_home):
    def ask(given, **settings) -> Forecasts:
        return predict.run(PredictConfig(input=given, **{"model": "1"} | settings))

    return ask


@pytest.fixture
def sample(home):
    """The first test sample, which lacks an image of 211."""
    return read_table(home.data, "test")["folder"][0]


@pytest.fixture
def cube(sample):
    return read_sample(sample, infer_start(sample)).cube


def test_a_sample_folder_gets_one_answer_that_counts_its_missing_images(forecast, newest, sample):
    result, run = forecast(sample), newest("predict")
    (row,) = result.rows
    assert set(row) == ANSWER
    assert (row["id"], row["missing_images"]) == (sample.name, 1)
    assert (row["synthetic"], result.synthetic, result.synthetic_data) == (True, True, True)
    assert row["mx_probability"] == row["probabilities"]["M1.0"]
    assert row["flux_low_w_m2"] <= row["peak_flux_w_m2"] <= row["flux_high_w_m2"]
    assert (row["model_name"], row["model_version"]) == ("solar-flare", "1")
    assert row["issue_time"] == row["valid_from"] == "2014-01-01T12:00:00Z"
    assert (row["valid_to"], row["active_region"]) == ("2014-01-02T12:00:00Z", 12000)
    assert (row["status"], row["missing"]) == ("degraded", [{"step": 3, "channel": "211"}])
    assert row["reasons"] == ["1 of 40 images are missing: 211 Å 10 min"]
    assert run.data.metrics["forecasts"] == 1
    wanted = {"flare.model": "forest v1", "flare.model_version": "1", "flare.kind": "forest"}
    assert (wanted | {"flare.model_synthetic": "true"}).items() <= run.data.tags.items()
    stored = load_dict(f"runs:/{run.info.run_id}/forecasts.json")
    assert stored == {"model": "forest v1", "forecasts": result.rows}
    assert forecast(sample).rows == result.rows  # its id too


def test_the_same_sample_as_an_array_gets_the_same_answer(forecast, sample, cube, tmp_path):
    np.save(tmp_path / "planes.npy", cube.reshape(40, 256, 256))
    (from_array,) = forecast(tmp_path / "planes.npy").rows
    (from_folder,) = forecast(sample).rows
    assert (from_array["id"], from_folder["id"]) == ("planes", sample.name)
    assert numbers(from_array) == numbers(from_folder)
    assert (from_array["valid_from"], from_array["active_region"]) == (None, None)
    stated = {"issue_time": "2014-01-01T13:00+01:00", "active_region": 12000}
    (row,) = forecast(tmp_path / "planes.npy", **stated).rows
    for name in ("issue_time", "valid_from", "valid_to", "active_region"):
        assert row[name] == from_folder[name]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"issue_time": "2014-01-01T12:00"}, "issue_time='2014-01-01T12:00' has no zone"),
        ({"issue_time": "2014-01-01T12:00Z"}, "have it in their names: leave it out"),
    ],
)
def test_a_time_that_cannot_be_used_is_refused(forecast, sample, given, said):
    with pytest.raises(ValueError, match=said):
        forecast(sample, **given)


@pytest.mark.parametrize(
    ("kind", "synthetic", "tag"),
    [("array", None, "unknown"), ("folder", None, "unknown"), ("dataset", False, "false")],
)
def test_samples_are_tagged_synthetic_only_where_their_origin_is_known(
    forecast, sample, cube, tmp_path, newest, kind, synthetic, tag
):
    place = shutil.copytree(sample, tmp_path / "test" / "11000" / sample.name)
    if kind == "array":
        place = tmp_path / "planes.npy"
        np.save(place, cube.reshape(40, 256, 256))
    if kind == "dataset":  # a table without dataset.json: a copy of the published dataset
        shutil.copy(sample.parents[1] / "meta_data.csv", tmp_path / "test")
    assert forecast(place).synthetic_data is synthetic
    assert newest("predict").data.tags["flare.synthetic"] == tag


def test_floats_of_either_scale_are_refused_until_it_is_stated(forecast, cube, tmp_path):
    np.save(tmp_path / "levels.npy", cube)
    np.save(tmp_path / "fractions.npy", cube / 255)
    np.save(tmp_path / "either.npy", cube / cube.max() * 1.001)
    (levels,) = forecast(tmp_path / "levels.npy").rows
    (fractions,) = forecast(tmp_path / "fractions.npy").rows
    assert (levels.pop("scale"), fractions.pop("scale")) == ("level", "fraction")
    assert numbers(fractions) == numbers(levels)
    with pytest.raises(InputInvalid, match=r"either\.npy: floats from 0 to 1\.00.*-P scale="):
        forecast(tmp_path / "either.npy")
    assert forecast(tmp_path / "either.npy", scale="level").rows[0]["scale"] == "level"


@pytest.mark.parametrize("filler", [0, 128])
def test_an_image_of_a_single_value_is_missing_in_an_array_too(forecast, cube, tmp_path, filler):
    cube[3, 9] = filler
    np.save(tmp_path / "filled.npy", cube)
    assert forecast(tmp_path / "filled.npy").rows[0]["missing_images"] == 2


def test_a_folder_that_holds_one_sample_folder_is_that_sample(forecast, sample, tmp_path):
    (tmp_path / "example").mkdir()
    shutil.copytree(sample, tmp_path / "example" / sample.name)
    (tmp_path / "example" / "README.md").touch()
    (inside,), (itself,) = (forecast(place).rows for place in (tmp_path / "example", sample))
    assert numbers(inside) == numbers(itself)
    assert inside["input_digest"] == itself["input_digest"]


def test_many_samples_are_pointed_to_the_parameter_for_them(forecast, home, sample):
    for place in (home.data, sample.parent):
        with pytest.raises(DatasetNotFound, match=f"or pass -P data_dir={place} for all"):
            forecast(place)


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_one_forecast_can_be_written_to_a_file(forecast, sample, tmp_path, suffix):
    path = tmp_path / "new" / f"a.{suffix}"
    (row,) = forecast(sample, output=path).rows
    stored = json.loads(path.read_text())[0] if suffix == "json" else pd.read_csv(path).iloc[0]
    for name in ("id", "log_flux", "goes_class", "alert", "missing_images"):
        assert stored[name] == row[name]
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_truncated_image_is_masked_and_counted(forecast, sample, tmp_path):
    damaged = shutil.copytree(sample, tmp_path / sample.name)
    image = next(damaged.glob("*__171.jpg"))
    image.write_bytes(image.read_bytes()[:500])
    (row,) = forecast(damaged).rows
    assert row["missing_images"] == 2


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nothing", DatasetNotFound, "no .*/nothing; give a sample folder"),
        ("other", DatasetNotFound, "other does not hold exactly one sample; give"),
        ("text.npy", InputInvalid, r"text\.npy: .*numpy\.save"),
        ("damaged", InputInvalid, "no image in .*/damaged can be used"),
    ],
)
def test_what_is_no_sample_is_named(forecast, tmp_path, name, error, message):
    (tmp_path / "other" / "inside").mkdir(parents=True)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "2012-01-15T000000__131.jpg").write_bytes(b"no image")
    (tmp_path / "text.npy").write_text("not an array")
    with pytest.raises(error, match=message):
        forecast(tmp_path / name)


def test_a_bad_output_is_refused_before_any_forecast(forecast, sample, monkeypatch, tmp_path):
    monkeypatch.setattr(predict, "read_one", lambda *_: pytest.fail("too late"))
    with pytest.raises(ConfigInvalid, match=r"a\.xlsx: give a name ending in"):
        forecast(sample, output=tmp_path / "a.xlsx")


def test_without_a_promoted_version_the_error_has_the_command(forecast, sample):
    with pytest.raises(ModelNotFound, match=r"'Production' in sqlite:.*-e promote"):
        forecast(sample, model="Production", model_name="nobody")
    with pytest.raises(
        ModelNotFound, match=r"is no folder with a forecaster\.json; give the folder"
    ):
        forecast(sample, model=f"{sample}/artifacts")
