"""The model card of a version: made with it, renewed by an evaluation on a test split."""

import shutil

import pandas as pd
import pytest
from mlflow.artifacts import load_dict, load_text

from flare.config import BaselineConfig, EvaluateConfig
from flare.tracking.version_details import details_of
from flare.workflows import baseline, evaluate

from tiny import copy_without_packs, plant_leak, write_tiny_dataset
from workplace import SMALL_FOREST, working_in

NAME = "card"


@pytest.fixture(scope="module")
def forest(models, home):
    """A version whose card no other test touches, as it was registered, and that card."""
    with working_in(home.folder):
        config = BaselineConfig(**home.small, **SMALL_FOREST, resamples=100, model_name=NAME)
        trained = baseline.run(config)
        return trained, card_of(trained)


def card_of(trained) -> str:
    return load_text(f"runs:/{trained.version.run_id}/model_card.md")


def evaluated(home, folder, **given):
    settings = {"data_dir": home.data, "model": "1", "model_name": NAME, "resamples": 100}
    return evaluate.run(EvaluateConfig(**settings | {"output_dir": folder} | given))


def test_a_registered_version_has_a_card_with_its_validation_scores_and_no_test_scores(forest):
    trained, card = forest
    score = trained.validation.get("M1.0", "brier_skill_score")
    n_regions = trained.validation.n_active_regions
    assert card.startswith("# Model card: card version 1\n\n**SYNTHETIC: ")
    assert f"**Validation**: {score.n} samples of {n_regions} active regions" in card
    assert f"| BSS M1.0 | {score.value:z.3f} [{score.low:z.3f}, {score.high:z.3f}] |" in card
    assert f"Run `{trained.version.run_id}`" in card
    assert "Not scored on a test split yet" in card


WHYS = ["overlap", "another split", "invalid audit"]


@pytest.mark.parametrize("why", WHYS)
def test_scores_that_are_not_of_the_models_own_skill_do_not_get_onto_it(
    forest, at_home, tmp_path, why
):
    given = {
        "overlap": lambda: {
            "data_dir": regions_of_training(at_home.data, tmp_path / "data"),
            "allow_overlap": True,
        },
        "another split": lambda: {"split": "training", "allow_overlap": True},
        "invalid audit": lambda: {
            "data_dir": plant_leak(copy_without_packs(at_home.data, tmp_path / "data"))
        },
    }[why]()
    before = card_of(forest[0])
    done = evaluated(at_home, tmp_path / "report", **given)
    assert bool(done.overlapping) == ("allow_overlap" in given)
    assert (done.audit.verdict == "invalid") == (why == "invalid audit")
    assert card_of(forest[0]) == before


@pytest.fixture(scope="module")
def own(forest, home, tmp_path_factory):
    """The version's evaluation on its test split."""
    with working_in(home.folder):
        return evaluated(home, tmp_path_factory.mktemp("own") / "report")


def test_an_evaluation_on_test_puts_everybodys_test_scores_next_to_the_validation_scores(
    own, forest, at_home
):
    trained, before = forest
    cards = own.comparison.scorecards
    card = card_of(trained)
    assert "Not scored on a test split yet" not in card
    assert "**tiny, test split**: 8 samples of 4 active regions with 2 events of M1.0" in card
    assert f"| score | {' | '.join(cards)} |" in card
    score = cards["forest v1"].get("C1.0", "brier_skill_score")
    assert f"| BSS C1.0 | {score.value:z.3f} [{score.low:z.3f}, {score.high:z.3f}] |" in card
    validation = before[before.index("**Validation**") : before.index("Not scored on a test")]
    assert validation in card


OTHERWISE = {
    "scale": ({"scale": "noaa"}, "noaa"),
    "rates": ({"base_rates": "M1.0:0.3"}, "raw_M1.0-0.3"),
    "data": ({}, "raw"),
}


@pytest.mark.parametrize("what", OTHERWISE)
def test_scores_of_other_data_scales_or_rates_are_stored_next_to_the_test_scores(
    own, forest, at_home, tmp_path, what
):
    version = forest[0].version
    run_id = version.run_id
    before = load_text(f"runs:/{run_id}/test.json"), card_of(forest[0])
    given, end = OTHERWISE[what]
    if what == "data":
        given = {"data_dir": write_tiny_dataset(tmp_path / "data", seed=7)}
    done = evaluated(at_home, tmp_path / "other", **given)
    report = load_dict(f"runs:/{done.run_id}/report.json")
    data = report["data"]
    record = load_dict(f"runs:/{run_id}/evaluations/{data['fingerprint'][:16]}_test_{end}.json")
    assert (load_text(f"runs:/{run_id}/test.json"), card_of(forest[0])) == before
    assert record["data"].items() <= data.items()
    assert (record["scale"], record["base_rates"], record["evaluation_run"]) == (
        report["scale"], report["stated_base_rates"], done.run_id
    )  # fmt: skip
    assert record["scores"] == report["forecasters"][done.comparison.model]["scores"]
    details = details_of(run_id, version=version)  # what the server says of it
    assert details.scores_on == "test split of tiny (SYNTHETIC), label scale raw"
    n = next(one["n"] for one in details.scores if one["event"] == "M1.0")
    assert sum(one["n"] for one in details.reliability) == n
    of = {(score["data"], score["split"], score["scale"]) for score in details.scores}
    assert of == {("tiny", "test", "raw")}


def regions_of_training(source, dest):
    """Copy a dataset so that its first training region is a test region instead."""
    copy_without_packs(source, dest)
    shutil.move(dest / "training" / "11000", dest / "test" / "11000")
    paths = [dest / part / "meta_data.csv" for part in ("training", "test")]
    training, test = (pd.read_csv(path, dtype=str) for path in paths)
    moved = training["id"].str.startswith("11000_")
    training[~moved].to_csv(paths[0], index=False)
    pd.concat([test, training[moved]]).to_csv(paths[1], index=False)
    return dest
