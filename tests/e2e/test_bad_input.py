"""Bad input ends in one line on stderr that says what to do, exit code 2, and no new file."""

import shutil

import pytest

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


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("train", {"epochs": "abc"}, ["epochs=abc", "integer"]),
        ("promote", {"version": "newest"}, ["version=newest", "best|latest|previous"]),
    ],
)
def test_a_bad_parameter_is_named_with_what_it_may_be(place, name, parameters, expected):
    line = refused(place, name, **parameters)
    assert [text for text in expected if text not in line] == []


def test_a_data_folder_that_does_not_exist_is_named(place):
    line = refused(place, "pack", data_dir="/nowhere")
    assert "training/meta_data.csv in /nowhere; pass -P data_dir=" in line


def test_a_text_file_called_npy_is_named(place):
    (place.folder / "text.npy").write_text("not an array", encoding="utf-8")
    line = refused(place, "predict", input="text.npy")
    assert "text.npy: " in line
    assert "numpy.save" in line


@again_in_a_process_of_its_own
def test_with_nothing_registered_the_line_says_what_to_run(place):
    line = refused(place, "evaluate")
    assert "'solar-flare' is registered in sqlite:///" in line
    assert line.endswith("run `mlflow run . -e train`")


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
