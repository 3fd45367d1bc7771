"""What an evaluation can be asked for beyond the model: another model next to it, another scale."""

import json

import mlflow
import numpy as np
import pytest

from flare.config import EvaluateConfig
from flare.errors import ConfigInvalid, DatasetInvalid
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.references.climatology import fit_climatology
from flare.forecasters.storage import save
from flare.goes import EVENTS
from flare.workflows import evaluate
from flare.workflows.evaluation.comparison import COMPARED

from tiny import TINY_LABELS, write_tiny_dataset
from workplace import working_in

#: An M1.1 of the files, which is a NOAA C9.3, and an M2.6, which is an M in both.
SCALED_LABELS = (1e-9, 1.1e-5, 2.6e-5, *TINY_LABELS[3:])


def evaluated(home, folder, **given):
    settings = {"data_dir": home.data, "model": "2", "resamples": 100, "output_dir": folder}
    return evaluate.run(EvaluateConfig(**settings | given))


def read(evaluation):
    return json.loads((evaluation.report / "report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def compared(models, home, tmp_path_factory):
    """The network, compared with the forest."""
    with working_in(home.folder):
        return evaluated(home, tmp_path_factory.mktemp("compared"), compare_to="1")


def stored(folder, *, image_size=32, regions=()):
    """Save a climatology that works on such images and knows such regions."""
    origin = Origin("f" * 64, "tiny", True, regions, 2)
    spec = ForecasterSpec(image_size=image_size)
    return save(fit_climatology(np.array(TINY_LABELS), spec=spec, origin=origin), folder)


def test_the_model_to_compare_with_stands_next_to_the_model(compared):
    assert list(compared.comparison.scorecards)[:2] == ["cnn v2", "forest v1"]


def test_its_paired_differences_are_in_the_report(compared):
    differences = read(compared)["model_minus"]["forest v1"]
    assert [(one["event"], one["name"].removesuffix("_difference")) for one in differences] == list(
        COMPARED
    )
    cards = compared.comparison.scorecards.values()
    one, other = (card.value("M1.0", "brier_skill_score") for card in list(cards)[:2])
    assert differences[0]["value"] == pytest.approx(one - other)


def test_its_paired_differences_are_metrics_with_their_intervals(compared, fetch):
    metrics = fetch(compared.run_id).data.metrics
    score = compared.comparison.against["forest v1"][0]
    path = "test/M1.0/brier_skill_score_difference"
    logged = [metrics[f"{path}{end}/compare_to"] for end in ("", "_low", "_high")]
    assert logged == pytest.approx([score.value, score.low, score.high])


def test_all_its_paired_differences_are_in_the_table_of_scores(compared, at_home):
    table = mlflow.load_table("scores.json", run_ids=[compared.run_id])
    own = table[table["forecaster"] == "cnn v2 - forest v1"]
    wanted = {(one.event, one.name) for one in compared.comparison.against["forest v1"]}
    assert set(zip(own["event"], own["score"], strict=True)) == wanted


def test_its_scores_are_metrics_under_compare_to(compared, fetch):
    metrics = fetch(compared.run_id).data.metrics
    wanted = compared.comparison.scorecards["forest v1"].value("M1.0", "brier_skill_score")
    assert metrics["test/M1.0/brier_skill_score/compare_to"] == pytest.approx(wanted)


def test_it_is_scored_on_parts_of_the_samples_too(compared):
    for cards in read(compared)["subsets"].values():
        assert list(cards) == ["cnn v2", "forest v1", "forest", "climatology"]


def test_without_one_there_are_no_such_metrics(models, fetch):
    metrics = fetch(models.evaluation.run_id).data.metrics
    assert [name for name in metrics if "compare_to" in name] == []


@pytest.mark.parametrize("spelling", ["2", "models:/solar-flare/2"])
def test_the_same_model_twice_is_refused(models, at_home, tmp_path, spelling):
    message = rf"compare_to={spelling} is the model that is evaluated, cnn v2; name another one"
    with pytest.raises(ConfigInvalid, match=message):
        evaluated(at_home, tmp_path / "no", compare_to=spelling)
    assert not (tmp_path / "no").exists()


def test_models_of_image_sizes_that_do_not_fit_are_refused(models, at_home, tmp_path):
    larger = stored(tmp_path / "larger", image_size=64)
    message = r"works on images of 64 pixels and cnn v2 on 32; evaluate it, with compare_to"
    with pytest.raises(ConfigInvalid, match=message):
        evaluated(at_home, tmp_path / "no", compare_to=str(larger))


def test_a_model_to_compare_with_that_has_seen_the_regions_is_refused(models, at_home, tmp_path):
    seen = stored(tmp_path / "seen", regions=(12000,))
    with pytest.raises(DatasetInvalid, match=r"seen was fitted on 1 of the 4 active"):
        evaluated(at_home, tmp_path / "no", compare_to=str(seen))


@pytest.fixture(scope="module")
def noaa(models, home, tmp_path_factory):
    """The network on the NOAA scale, on test labels of which two are M in the files alone."""
    place = tmp_path_factory.mktemp("noaa")
    data = write_tiny_dataset(place / "data", labels=SCALED_LABELS)
    with working_in(home.folder):
        return evaluated(home, place / "report", data_dir=data, scale="noaa")


def test_the_noaa_scale_changes_the_events_but_not_the_published_ones(noaa):
    for card in noaa.comparison.scorecards.values():
        assert card.get("M1.0", "brier_score").n_events == 2
        assert card.get("published", "brier_score").n_events == 4


def test_the_scale_is_recorded_in_the_report_and_in_every_scorecard(noaa, fetch):
    report = read(noaa)
    parts = [card for cards in report["subsets"].values() for card in cards.values()]
    assert report["scale"] == "noaa"
    assert {card["scale"] for card in [*report["forecasters"].values(), *parts]} == {"noaa"}
    assert "label scale noaa" in (noaa.report / "report.md").read_text(encoding="utf-8")
    assert fetch(noaa.run_id).data.params["scale"] == "noaa"


def test_the_rate_of_climatology_is_that_of_the_scale(noaa):
    # Of 8 training regions 4 have M in the files: M1.1, M2.6, M7.1 and X1.3; by NOAA 3 do.
    rates = noaa.comparison.scorecards["cnn v2"].climatology
    assert rates["M1.0"] == pytest.approx(3 / 8)


ORIGIN = Origin("a" * 64, "other", True, (9999,), 4)


def test_compare_to_a_model_of_fewer_events_is_refused_by_name(at_home, tmp_path):
    write_tiny_dataset(tmp_path / "tiny")
    for name, events in (("all", EVENTS), ("three", EVENTS[1:])):
        spec = ForecasterSpec(image_size=32, events=events)
        flux = np.array([1e-9, 3e-6, 2e-5, 2e-4])
        save(fit_climatology(flux, spec=spec, origin=ORIGIN), tmp_path / name)
    config = EvaluateConfig(
        data_dir=tmp_path / "tiny",
        model=str(tmp_path / "all"),
        compare_to=str(tmp_path / "three"),
        output_dir=tmp_path / "out",
    )
    with pytest.raises(ConfigInvalid, match=r"does not forecast B1\.0"):
        evaluate.run(config)
