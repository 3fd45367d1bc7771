"""Bad input ends in one line on stderr that says what to do, exit code 2, and no new file.

Here in processes of their own, of which each takes seconds for its imports; tests/integration has
many more kinds of bad input.
"""

import pytest

from workplace import tree


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


def test_a_data_folder_that_does_not_exist_is_named(place):
    line = refused(place, "pack", data_dir="/nowhere")
    assert "training/meta_data.csv in /nowhere; pass -P data_dir=" in line


@pytest.mark.slow
def test_a_store_that_does_not_answer_is_one_line(place, monkeypatch):
    environment = {**place.environment, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    environment["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    monkeypatch.setattr(type(place), "environment", environment)
    line = refused(place, "promote")
    assert "http://127.0.0.1:9" in line
    assert "check MLFLOW_TRACKING_URI" in line
