"""Nobody is scored on active regions that it has seen, unless the user says so aloud."""

import json
import re
import shutil

import pandas as pd
import pytest
from mlflow import MlflowClient

from flare.config import EvaluateConfig
from flare.datasets.pack.reader import open_pack
from flare.datasets.pack.writer import ensure_pack
from flare.datasets.splits import split_by_region
from flare.errors import DatasetInvalid
from flare.forecasters.storage import save
from flare.workflows import evaluate
from flare.workflows.evaluation.references import climatology_of, reference_data

from tiny import write_tiny_dataset


def evaluated(home, folder, **given):
    settings = {"data_dir": home.data, "resamples": 100, "output_dir": folder} | given
    return evaluate.run(EvaluateConfig(**settings))


def test_a_model_is_refused_on_regions_that_it_was_trained_on_before_any_reference_is_fitted(
    models, at_home, tmp_path, newest, monkeypatch
):
    monkeypatch.setattr(evaluate, "fit_references", lambda *_a, **_k: pytest.fail("too late"))
    with pytest.raises(
        DatasetInvalid,
        match=r"cnn v2 was fitted on 8 of the 8 .* \(11000, .*allow_overlap",
    ):
        evaluated(at_home, tmp_path / "no", model="2", split="training")
    assert newest("evaluate").info.status == "FAILED"
    assert not (tmp_path / "no").exists()


def test_with_allow_overlap_it_is_scored_and_marked(models, at_home, tmp_path, fetch):
    result = evaluated(at_home, tmp_path / "yes", model="2", split="training", allow_overlap=True)
    report = json.loads((tmp_path / "yes" / "report.json").read_text(encoding="utf-8"))
    tags = fetch(result.run_id).data.tags
    references = ["forest", "logistic regression", "inversion line", "climatology", "constant"]
    seen = ["cnn v2", *references]
    assert list(result.overlapping) == seen
    assert report["trained_on_scored_regions"] == seen
    assert tags["flare.trained_on_scored_regions"] == ", ".join(seen)
    assert tags["mlflow.runName"] == "evaluate cnn v2 on training, regions SEEN in training"
    text = (tmp_path / "yes" / "report.md").read_text(encoding="utf-8")
    assert f"**No scores of skill: {', '.join(seen)} was trained or validated on active" in text


@pytest.mark.parametrize("spelling", ["folder", "alias uri", "run uri"])
def test_seen_regions_are_refused_however_the_model_is_given(models, at_home, tmp_path, spelling):
    version = models.network.version
    MlflowClient().set_registered_model_alias(version.name, "checked", str(version.version))
    name = {
        "folder": tmp_path / "folder",
        "alias uri": "models:/solar-flare@checked",
        "run uri": f"runs:/{version.run_id}/cnn",
    }[spelling]
    if spelling == "folder":
        save(models.network.forecaster, tmp_path / "folder")
    label = f"folder {name}" if spelling == "folder" else name
    message = rf"^{re.escape(label)} was fitted on 8 of the 8 active regions"
    with pytest.raises(DatasetInvalid, match=message):
        evaluated(at_home, tmp_path / "no", model=str(name), split="training")


def test_validation_regions_count_as_seen(models, at_home, home, tmp_path):
    table = open_pack(home.data / "packed-32").split("training").table
    held = table.iloc[split_by_region(table, validation_share=0.4, seed=0).validation]
    regions = set(held["active_region"])
    assert 0 < len(regions) < 8
    data = only_regions(home.data, tmp_path / "held", regions)
    message = rf"cnn v2 was fitted on {len(regions)} of the {len(regions)} active regions"
    with pytest.raises(DatasetInvalid, match=message):
        evaluated(at_home, tmp_path / "no", model="2", data_dir=data)


def only_regions(source, dest, regions):
    """Make a dataset whose test split is made of some training regions of another one."""
    shutil.copytree(source / "test", dest / "training")
    table = pd.read_csv(source / "training" / "meta_data.csv", dtype=str)
    chosen = table[table["id"].str.split("_").str[0].astype(int).isin(regions)]
    for region in regions:
        shutil.copytree(source / "training" / str(region), dest / "test" / str(region))
    chosen.to_csv(dest / "test" / "meta_data.csv", index=False)
    shutil.copy(source / "dataset.json", dest)
    return dest


@pytest.fixture(scope="module")
def real_model(home, tmp_path_factory):
    """A climatology of a dataset that is real as far as anybody can tell, and that dataset."""
    place = tmp_path_factory.mktemp("real")
    data = write_tiny_dataset(place / "data", training_regions=4, test_regions=4)
    (data / "dataset.json").unlink()
    pack = ensure_pack(data, data / "packed-32", image_size=32)
    return save(climatology_of(reference_data(pack)), place / "model"), data


def test_a_downloaded_copy_with_another_fingerprint_holds_the_same_regions(
    real_model, at_home, tmp_path
):
    model, data = real_model
    copy = shutil.copytree(data, tmp_path / "copy", ignore=shutil.ignore_patterns("packed*"))
    next(copy.glob("training/*/*/*__171.jpg")).unlink()  # as if one file had not come through
    with pytest.raises(DatasetInvalid, match=r"^folder .* was fitted on 4 of the 4 active"):
        evaluated(at_home, tmp_path / "no", model=str(model), data_dir=copy, split="training")


def test_a_real_model_has_not_seen_an_invented_region_of_the_same_number(
    real_model, at_home, tmp_path
):
    model, _ = real_model
    regions = {11000, 11010}
    invented = only_regions(at_home.data, tmp_path / "invented", regions)
    result = evaluated(at_home, tmp_path / "yes", model=str(model), data_dir=invented)
    assert result.overlapping == ()


def test_synthetic_sets_of_one_seed_share_regions(at_home, tmp_path):
    def describe(data):
        text = json.dumps({"name": "synthetic", "synthetic": True, "seed": 3})
        (data / "dataset.json").write_text(text, encoding="utf-8")

    small = write_tiny_dataset(tmp_path / "small", training_regions=4, test_regions=2)
    describe(small)
    pack = ensure_pack(small, small / "packed-32", image_size=32)
    model = save(climatology_of(reference_data(pack)), tmp_path / "model")
    # Another size, so another fingerprint; its test split holds regions of the first's training.
    data = only_regions(at_home.data, tmp_path / "data", {11000, 11010})
    describe(data)
    with pytest.raises(DatasetInvalid, match=r"^folder .* on 2 of the 2 active regions"):
        evaluated(at_home, tmp_path / "out", model=str(model), data_dir=data)


def test_a_reference_is_refused_on_its_own_training_regions_too(models, at_home, tmp_path):
    data = write_tiny_dataset(tmp_path / "other", training_regions=4, test_regions=1)
    (data / "dataset.json").unlink(missing_ok=True)  # real, as far as anybody can tell
    with pytest.raises(DatasetInvalid, match=r"^forest was fitted on"):
        evaluated(at_home, tmp_path / "no", model="2", data_dir=data, split="training")
