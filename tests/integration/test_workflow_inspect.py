import json
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest
from PIL import Image

from flare.config import InspectConfig
from flare.datasets.sdobenchmark.fingerprint import content_fingerprint
from flare.datasets.sdobenchmark.labels import read_table
from flare.errors import ConfigInvalid, DatasetNotFound
from flare.plots.style import mark_synthetic
from flare.workflows.data import inspect
from flare.workflows.data.inspect import choose_sample, title_of

FIGURES = {"sample", "labels", "missing", "brightness", "census"}
COMPARISON = "comparison"


@pytest.fixture(scope="module")
def inspected(home):
    """An inspection of both splits, and how many of its figures were marked as synthetic."""
    from workplace import working_in

    with working_in(home.folder), counted_marks() as marks:
        settings = {"data_dir": home.data, "compare_with": home.data, "processes": 1}
        done = inspect.run(InspectConfig(**settings, output_dir=home.folder / "inspection"))
    assert len(marks) == len(FIGURES) + 1
    return done


@contextmanager
def counted_marks():
    marks = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            inspect, "mark_synthetic", lambda figure: marks.append(1) or mark_synthetic(figure)
        )
        yield marks


@pytest.fixture
def looked_at(at_home, tmp_path):
    """Return a function that inspects with some settings."""

    def look(**settings) -> inspect.Inspection:
        given = {"data_dir": at_home.data, "processes": 1, "output_dir": tmp_path / "out"}
        return inspect.run(InspectConfig(**given | settings))

    return look


def test_figures_and_the_counts_are_in_the_output_folder(inspected):
    names = {path.name for path in inspected.folder.iterdir()}
    assert names == {f"{name}.png" for name in FIGURES | {COMPARISON}} | {"census.json"}
    content = json.loads((inspected.folder / "census.json").read_text(encoding="utf-8"))
    assert content == inspected.census.as_dict()
    for name in FIGURES | {COMPARISON}:
        with Image.open(inspected.folder / f"{name}.png") as image:
            assert image.format == "PNG"


def test_the_run_keeps_counts_data_and_figures(inspected, fetch, at_home):
    from mlflow import MlflowClient

    run = fetch(inspected.run_id)
    assert (run.info.status, run.data.tags["flare.entry"]) == ("FINISHED", "inspect")
    assert run.data.metrics["training/samples"] == 16
    assert run.data.metrics["test/missing/211"] == 1
    assert run.data.metrics["test/checks/unreadable"] == 0
    assert run.data.params["data_dir"] == str(at_home.data)
    assert run.data.tags["flare.data_fingerprint"] == content_fingerprint(at_home.data)
    assert run.data.tags["flare.synthetic"] == "true"
    contexts = [one.tags[0].value for one in run.inputs.dataset_inputs]
    assert sorted(contexts) == ["test", "training"]
    logged = {one.path for one in MlflowClient().list_artifacts(inspected.run_id, "figures")}
    assert logged == {f"figures/{name}.png" for name in FIGURES | {COMPARISON}}


def test_the_sample_is_the_strongest_of_the_most_complete_of_the_test_split(inspected, home):
    # The first sample lacks an image; of the others the third region has the largest label.
    table = read_table(home.data, "test")
    assert inspected.sample == table["id"][table["peak_flux"].idxmax()]
    split = inspected.census.splits["test"]
    assert title_of(split, 0) == (
        "Active region 12000, issued 2014-01-01 12:00 UTC; label of the next 24 h: quiet  (test)"
    )
    assert title_of(split, 2).endswith("label of the next 24 h: C4.1  (test)")


def test_a_sample_is_chosen_by_its_id_or_split(inspected, home):
    wanted = read_table(home.data, "training")["id"][5]
    split, row = choose_sample(inspected.census, split="test", sample=wanted)
    assert (split.name, row) == ("training", 5)
    split, row = choose_sample(inspected.census, split="training")
    assert split.name == "training"
    assert split.table["peak_flux"][row] == split.table["peak_flux"].max()


def test_a_strong_sample_with_gaps_stands_back_behind_a_whole_one(inspected):
    whole = inspected.census.splits["test"]
    strongest = int(whole.table["peak_flux"].argmax())
    present = whole.present.copy()
    present[strongest, 0, 0] = False
    census = replace(inspected.census, splits={"test": replace(whole, present=present)})
    _, row = choose_sample(census)
    assert row != strongest
    assert present[row].all()


def test_one_real_split_without_any_image_is_drawn_all_the_same_and_not_called_synthetic(
    looked_at, home, monkeypatch, tmp_path
):
    monkeypatch.setattr(inspect, "save", lambda _figure, path: path.touch())
    data = tmp_path / "one"
    (data / "training").mkdir(parents=True)
    shutil.copy(home.data / "training" / "meta_data.csv", data / "training")
    with counted_marks() as marks:
        looked = looked_at(data_dir=data)
    assert marks == []
    assert not looked.census.synthetic
    assert looked.census.splits["training"].findings["no_folder"].count == 16
    assert {path.stem for path in looked.folder.glob("*.png")} == FIGURES


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        (
            {"sample": "12010_2014_01_21_00_00_00_7"},
            ConfigInvalid,
            "sample=12010_2014_01_21_00_00_00_7: .* similar ids are 12010_2014_01_21_00_00_00_",
        ),
        (
            {"data_dir": "one", "split": "test"},
            DatasetNotFound,
            "no test split, only training; pass -P split=tr",
        ),
        ({"data_dir": "nowhere"}, DatasetNotFound, r"no training/meta_data\.csv in"),
        ({"compare_with": "nowhere"}, DatasetNotFound, r"no training/meta_data\.csv in"),
        ({"output_dir": "file/out"}, ConfigInvalid, "output_dir="),
    ],
)
def test_bad_settings_are_refused_before_anything_is_read_or_written(
    looked_at, home, monkeypatch, tmp_path, settings, error, words
):
    monkeypatch.setattr(inspect, "take_census", lambda *_a, **_k: pytest.fail("too late"))
    (tmp_path / "file").touch()
    (tmp_path / "one/training").mkdir(parents=True)
    shutil.copy(home.data / "training/meta_data.csv", tmp_path / "one/training")
    places = settings.keys() & {"data_dir", "compare_with", "output_dir"}
    folders = {key: tmp_path / settings[key] for key in places}
    with pytest.raises(error, match=words):
        looked_at(**settings | folders)
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_the_run_as_killed_and_leaves_no_output(
    looked_at, newest, monkeypatch, tmp_path
):
    def interrupt(*_a, progress, **_k):
        progress(1, 24)
        raise KeyboardInterrupt

    monkeypatch.setattr(inspect, "take_census", interrupt)
    with pytest.raises(KeyboardInterrupt):
        looked_at()
    assert newest("inspect").info.status == "KILLED"
    assert not (tmp_path / "out").exists()
