"""Every run that touches data says which, as MLflow dataset inputs with their fingerprints."""

import json

import pytest

from flare.config import AuditConfig, PackConfig, PredictConfig, SynthesizeConfig
from flare.config.search import SearchConfig
from flare.datasets.pack.reader import open_pack
from flare.datasets.sdobenchmark.fingerprint import content_fingerprint
from flare.workflows import audit, pack, predict, search, synthesize

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


@pytest.fixture
def used(models, at_home, newest, fetch, tmp_path):
    """Return a function that runs an entry point, and gives its run and the data it was of."""
    small = {"data_dir": at_home.data, "processes": 1}

    def synthesized():
        sizes = {"samples": 30, "processes": 1}
        synthesize.run(SynthesizeConfig(**sizes, data_dir=tmp_path / "new"))
        return newest("synthesize")

    def packed():
        pack.run(PackConfig(**small, image_size=32))
        return newest("pack")

    def audited():
        audit.run(AuditConfig(**at_home.small, output_dir=tmp_path / "audit"))
        return newest("audit")

    def searched():
        study = {"storage": f"sqlite:///{tmp_path}/search.db", "trials": 1, "model": "forest"}
        search.run(SearchConfig(**at_home.small, **study, register=False))
        return newest("search")

    def predicted():
        output = {"output": tmp_path / "p.csv", "model": "1"}
        predict.run(PredictConfig(**small, **output))
        return newest("predict")

    return {
        "synthesize": synthesized,
        "pack": packed,
        "audit": audited,
        "baseline": lambda: fetch(models.forest.version.run_id),
        "train": lambda: fetch(models.network.version.run_id),
        "search": searched,
        "evaluate": lambda: fetch(models.evaluation.run_id),
        "predict": predicted,
    }


@pytest.mark.parametrize("entry", CONTEXTS)
def test_every_part_of_the_data_is_an_input_with_its_fingerprint(used, home, tmp_path, entry):
    run = used[entry]()
    data = tmp_path / "new" if entry == "synthesize" else home.data
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
def test_what_reads_a_pack_names_its_fingerprint(used, home, entry):
    run = used[entry]()
    wanted = open_pack(home.data / "packed-32").pack_fingerprint
    profiles = [json.loads(one.dataset.profile) for one in run.inputs.dataset_inputs]
    assert {profile["pack_fingerprint"] for profile in profiles} == {wanted[:16]}
    assert run.data.tags["flare.pack_fingerprint"] == wanted


def test_the_scored_split_and_a_forecast_of_it_have_the_same_content(used):
    evaluated, predicted = used["evaluate"](), used["predict"]()
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
