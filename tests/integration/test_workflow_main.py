"""The whole job, and the making of the data that it starts from."""

import json

import pytest
from mlflow import MlflowClient

from flare.config import MainConfig, PredictConfig, SynthesizeConfig
from flare.config.groups import SYNTHETIC_DIR
from flare.datasets.sdobenchmark.fingerprint import content_fingerprint
from flare.errors import ConfigInvalid, DatasetInvalid, FlareError, TrackingUnavailable
from flare.tracking.registry import production_version
from flare.tracking.runs import start
from flare.workflows import main
from flare.workflows.data import synthesize
from flare.workflows.fitting.training_data import ensure_synthetic

from workplace import SMALL_FOREST, SMALL_NETWORK, tree, working_in

ENTRIES = ["pack", "baseline", "train", "evaluate", "promote", "predict"]


@pytest.fixture(scope="module")
def job(home):
    """The whole job on the tiny dataset, its example being a test sample."""
    sample = next((home.data / "test").glob("*/*"))
    predicted = PredictConfig.model_fields["input"].default
    with working_in(home.folder):
        (home.folder / predicted).parent.mkdir(exist_ok=True)
        (home.folder / predicted).symlink_to(sample)
        small = {"resamples": 100, "model_name": "whole-job"}
        config = MainConfig(**home.small, **SMALL_FOREST, **SMALL_NETWORK, **small)
        return main.run(config)


def test_every_stage_is_a_finished_child_run_and_the_job_has_their_seconds_alone(job, newest):
    whole = newest("main")
    wanted = f"attributes.start_time >= {whole.info.start_time}"
    result = MlflowClient().search_runs(["0"], wanted, order_by=["attributes.start_time ASC"])
    result = [one for one in result if one.info.end_time <= whole.info.end_time]
    assert [one.data.tags["flare.entry"] for one in result] == ["main", *ENTRIES]
    assert {one.info.status for one in result} == {"FINISHED"}
    parents = {one.data.tags.get("mlflow.parentRunId") for one in result[1:]}
    assert parents == {whole.info.run_id}
    stages = ("data", "baseline", "train", "evaluate", "promote_and_predict")
    assert set(whole.data.metrics) == {f"seconds/{stage}" for stage in stages}
    logged = set(whole.data.params)
    assert "epochs" in logged
    # The size of a synthetic set is no parameter of a job on another dataset.
    assert logged & {"samples", "test_share", "difficulty", "data_seed"} == set()


def test_the_better_of_both_on_validation_is_promoted_and_forecasts(job, at_home):
    scores = {
        one.version.version: one.validation.value("M1.0", "brier_skill_score")
        for one in (job.forest, job.network)
    }
    better = max(scores, key=scores.__getitem__)
    assert job.promoted.version.version == better
    assert production_version("whole-job").version == better
    assert job.forecasts.model.endswith(f"v{better}")
    assert len(job.forecasts.rows) == 1


def test_synthesize_logs_the_identity_of_what_it_made(at_home, newest, tmp_path):
    small = {"samples": 30, "processes": 1}
    synthesize.run(SynthesizeConfig(**small, data_dir=tmp_path / "new"))
    run = newest("synthesize")
    (made,) = run.inputs.dataset_inputs
    fingerprint = content_fingerprint(tmp_path / "new")
    assert run.data.tags["flare.data_fingerprint"] == fingerprint
    assert made.dataset.digest.startswith(fingerprint[:16])
    assert json.loads(made.dataset.profile) == {"training": 21, "test": 9}


def test_synthesize_never_writes_over_a_dataset(at_home, newest, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "precious.txt").write_text("keep")
    before = tree(tmp_path)
    small = {"samples": 30, "processes": 1}
    with pytest.raises(FlareError, match=str(tmp_path / "old")):
        synthesize.run(SynthesizeConfig(**small, data_dir=tmp_path / "old"))
    assert tree(tmp_path) == before
    assert newest("synthesize").info.status == "FAILED"


MADE = {"name": "synthetic", "synthetic": True, "seed": 0, "n_training": 448, "n_test": 192}


@pytest.mark.parametrize(
    ("description", "fits", "other", "error", "words"),
    [
        (MADE | {"test": "as_observed"}, {}, {"data_seed": 9}, ConfigInvalid, "seed=0, not 9"),
        (MADE, {"test": "selected"}, {}, ConfigInvalid, "test=selected, not as_observed"),
        (None, None, {}, DatasetInvalid, r"dataset\.json"),
    ],
    ids=["another seed", "made before there was a choice of the test regions", "damaged"],
)
def test_a_synthetic_set_that_was_made_otherwise_is_not_used_in_silence(
    tmp_path, description, fits, other, error, words
):
    with working_in(tmp_path):
        SYNTHETIC_DIR.mkdir(parents=True)
        text = "{" if description is None else json.dumps(description)
        (SYNTHETIC_DIR / "dataset.json").write_text(text, encoding="utf-8")
        if fits is not None:
            ensure_synthetic(SYNTHETIC_DIR, SynthesizeConfig(**fits))
        with pytest.raises(error, match=words):
            ensure_synthetic(SYNTHETIC_DIR, SynthesizeConfig(**other))


def test_a_damaged_store_is_one_line(tmp_path):
    with working_in(tmp_path):
        (tmp_path / "mlflow.db").write_text("no database at all, " * 100, encoding="utf-8")
        with pytest.raises(TrackingUnavailable, match=r"MLflow at sqlite.* refused: "):
            start("promote", name="promote").__enter__()
