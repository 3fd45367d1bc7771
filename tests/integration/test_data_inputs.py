"""Every run that touches data says which, as MLflow dataset inputs with their fingerprints."""

import json

import pytest
from mlflow import MlflowClient

from flare.config import AuditConfig, PackConfig, PredictConfig, SynthesizeConfig
from flare.config.search import SearchConfig
from flare.datasets.pack.reader import open_pack
from flare.datasets.sdobenchmark.fingerprint import content_fingerprint
from flare.workflows import predict, search
from flare.workflows.data import audit, pack, synthesize

from workplace import working_in

#: What each entry point uses, and for what.
CONTEXTS = {
    "synthesize": {"synthesized"},
    "pack": {"packed"},
    "audit": {"training", "test"},
    "baseline": {"training", "validation"},
    "train": {"training", "validation"},
    "search": {"training", "validation"},
    "evaluate": {"test", "references"},
    "predict": {"prediction"},
}


@pytest.fixture(scope="module")
def runs(models, home, tmp_path_factory):
    """The newest run of every entry point on the shared dataset, and what `synthesize` made."""
    place = tmp_path_factory.mktemp("inputs")
    small = {"data_dir": home.data, "processes": 1}
    study = {"storage": f"sqlite:///{place}/search.db", "trials": 1, "model": "forest"}
    with working_in(home.folder):
        made = {"samples": 30, "processes": 1, "data_dir": place / "new"}
        synthesize.run(SynthesizeConfig(**made))
        pack.run(PackConfig(**small, image_size=32))
        audit.run(AuditConfig(**home.small, features=False, output_dir=place / "audit"))
        search.run(SearchConfig(**home.small, **study, register=False))
        predict.run(PredictConfig(**small, output=place / "p.csv", model="1"))
        client = MlflowClient()
        ids = {
            "baseline": models.forest.version.run_id,
            "train": models.network.version.run_id,
            "evaluate": models.evaluation.run_id,
        }
        runs = {entry: client.get_run(run_id) for entry, run_id in ids.items()}
        for entry in CONTEXTS.keys() - ids:
            wanted = f"tags.`flare.entry` = '{entry}'"
            (runs[entry],) = client.search_runs(["0"], wanted, max_results=1)
    return runs, place / "new"


@pytest.mark.parametrize("entry", CONTEXTS)
def test_every_part_of_the_data_is_an_input_with_its_fingerprint(runs, home, entry):
    run, data = runs[0][entry], runs[1] if entry == "synthesize" else home.data
    inputs = run.inputs.dataset_inputs
    assert {one.tags[0].value for one in inputs} == CONTEXTS[entry]
    assert len({one.dataset.digest for one in inputs}) == len(CONTEXTS[entry])
    # A forecast reads one split, and so can name the content of that one alone.
    fingerprint = content_fingerprint(data)
    if entry == "predict":
        fingerprint = open_pack(data / "packed-32").contents["test"]
    assert {one.dataset.digest[:16] for one in inputs} == {fingerprint[:16]}
    assert run.data.tags["flare.data_fingerprint"] == fingerprint
    assert run.data.tags["flare.synthetic"] == "true"


@pytest.mark.parametrize("entry", ["pack", "audit", "baseline", "train", "search", "evaluate"])
def test_what_reads_a_pack_names_its_fingerprint(runs, home, entry):
    run = runs[0][entry]
    wanted = open_pack(home.data / "packed-32").pack_fingerprint
    profiles = [json.loads(one.dataset.profile) for one in run.inputs.dataset_inputs]
    assert {profile["pack_fingerprint"] for profile in profiles} == {wanted[:16]}
    assert run.data.tags["flare.pack_fingerprint"] == wanted


def test_the_scored_split_and_a_forecast_of_it_have_the_same_content(runs):
    evaluated, predicted = runs[0]["evaluate"], runs[0]["predict"]
    profiles = {
        one.tags[0].value: json.loads(one.dataset.profile)
        for one in evaluated.inputs.dataset_inputs
    }
    (forecast,) = predicted.inputs.dataset_inputs
    assert profiles["test"]["content"] == forecast.dataset.digest[:16]


def test_a_sample_of_its_own_is_an_input_too(models, at_home, newest):
    sample = next(at_home.data.glob("test/*/*"))
    predict.run(PredictConfig(input=sample, model="1"))
    (data,) = newest("predict").inputs.dataset_inputs
    assert (data.dataset.name, data.tags[0].value) == (sample.name, "prediction")
