"""Bad input ends in one line on stderr that says what to do, exit code 2, and no new file."""

import json
import shutil

import pandas as pd
import pytest

from flare.datasets.pack.writer import ensure_pack

from workplace import tree

#: Four seconds each, all for imports; tests/integration has the same facts in one process.
again_in_a_process_of_its_own = pytest.mark.slow


def refused(place, name: str, **parameters: object) -> str:
    """Run a command that must be refused; return its one line."""
    before = tree(place.folder)
    done = place.run(name, **parameters)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{name}: ")
    assert tree(place.folder) == before
    assert place.leftovers() == []
    return line


@pytest.fixture
def changed(place, tmp_path):
    """Return a function that copies the dataset with another table of training labels."""

    def change(edit) -> object:
        data = shutil.copytree(place.data, tmp_path / "changed")
        path = data / "training" / "meta_data.csv"
        edit(pd.read_csv(path, dtype=str)).to_csv(path, index=False)
        return data

    return change


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("train", {"epochs": "abc"}, ["epochs=abc", "integer"]),
        ("train", {"learning_rate": "nan"}, ["learning_rate=nan"]),
        ("train", {"nonsense": 3}, ["--nonsense=3", "--help"]),
        ("pack", {"image_size": 33}, ["image_size=33", "32, 64, 128, 256"]),
        ("promote", {"version": "newest"}, ["version=newest", "best|latest|previous"]),
        ("search", {"family": "tree"}, ["family=tree", "'forest', 'cnn' or 'both'"]),
    ],
)
def test_a_bad_parameter_is_named_with_what_it_may_be(place, name, parameters, expected):
    line = refused(place, name, **parameters)
    assert [text for text in expected if text not in line] == []


def test_a_data_folder_that_does_not_exist_is_named(place):
    line = refused(place, "pack", data_dir="/nowhere")
    assert "training/meta_data.csv in /nowhere; pass -P data_dir=" in line


@again_in_a_process_of_its_own
def test_a_missing_column_is_named_with_its_table(place, changed):
    data = changed(lambda table: table.drop(columns="peak_flux"))
    line = refused(place, "pack", data_dir=data)
    assert f"{data}/training/meta_data.csv has no single column peak_flux; its first line" in line


@again_in_a_process_of_its_own
def test_a_label_that_is_nan_is_named_with_its_sample(place, changed):
    data = changed(lambda table: table.assign(peak_flux=["nan", *table["peak_flux"][1:]]))
    line = refused(place, "pack", data_dir=data)
    assert "sample 11000_2012_01_01_00_00_00_0: peak_flux is 'nan'; write W m^-2" in line


def test_a_text_file_called_npy_is_named(place):
    (place.folder / "text.npy").write_text("not an array", encoding="utf-8")
    line = refused(place, "predict", input="text.npy")
    assert "text.npy: " in line
    assert "numpy.save" in line


@again_in_a_process_of_its_own
@pytest.mark.parametrize("name", ["promote", "evaluate"])
def test_with_nothing_registered_the_line_says_what_to_run(place, name):
    line = refused(place, name)
    assert "'solar-flare' is registered in sqlite:///" in line
    assert line.endswith("run `mlflow run . -e train`")


@again_in_a_process_of_its_own
def test_a_training_without_data_is_one_line_in_spite_of_all_it_imports(place):
    line = refused(place, "train", data_dir="/nowhere")
    assert "training/meta_data.csv in /nowhere; pass -P data_dir=" in line


@again_in_a_process_of_its_own
def test_a_model_that_does_not_exist_is_named(place):
    line = refused(place, "predict", input=next(place.data.glob("test/*/*")), model="nonsense")
    assert "'solar-flare' has the alias 'nonsense' in sqlite:///" in line
    assert "-e promote" in line


@again_in_a_process_of_its_own
def test_an_output_below_a_file_is_refused(place):
    (place.folder / "file").touch()
    line = refused(place, "predict", data_dir=place.data, output="file/forecasts.csv")
    assert f"output=file: {place.folder}/file is not a folder that can be written to; give" in line


@again_in_a_process_of_its_own
def test_a_dataset_that_cannot_be_made_where_it_should_is_one_line(place):
    (place.folder / "file").touch()
    line = refused(place, "synthesize", data_dir="file/data", samples=30)
    assert "file" in line


@again_in_a_process_of_its_own
def test_a_store_that_does_not_answer_is_one_line(place, monkeypatch):
    environment = {**place.environment, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    environment["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    monkeypatch.setattr(type(place), "environment", environment)
    line = refused(place, "promote")
    assert "http://127.0.0.1:9" in line
    assert "check MLFLOW_TRACKING_URI" in line


@again_in_a_process_of_its_own
def test_a_truncated_image_is_masked_and_counted_and_the_command_goes_on(place, tmp_path):
    data = shutil.copytree(place.data, tmp_path / "cut")
    image = next(data.glob("training/*/*/*__171.jpg"))
    image.write_bytes(image.read_bytes()[:300])
    done = place.run("pack", data_dir=data, image_size=32, processes=1)
    assert done.returncode == 0, done.stderr
    assert "images masked as missing: 1 unreadable" in done.stderr
    assert "'171': 1" in done.stdout


@again_in_a_process_of_its_own
def test_a_corrupt_pack_is_made_again(place, tmp_path):
    settings = {"data_dir": place.data, "pack_dir": tmp_path / "pack", "image_size": 32}
    ensure_pack(**settings)
    description = tmp_path / "pack" / "pack.json"
    whole = json.loads(description.read_text(encoding="utf-8"))
    description.write_text("{", encoding="utf-8")
    again = place.run("pack", **settings, processes=1)
    assert again.returncode == 0, again.stderr
    assert json.loads(description.read_text(encoding="utf-8")) == whole
