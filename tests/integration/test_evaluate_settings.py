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


def test_the_model_to_compare_with_stands_next_to_the_model(compared):
    assert list(compared.comparison.scorecards)[:2] == ["cnn v2", "forest v1"]
    report = read(compared)
    named = [(one["event"], one["name"]) for one in report["model_minus"]["forest v1"]]
    assert named == [(event, f"{name}_difference") for event, name in COMPARED]
    assert "cnn v2 - forest v1: M1.0 BSS" in "\n".join(compared.comparison.lines())
    for cards in report["subsets"].values():
        assert list(cards) == ["cnn v2", "forest v1", "forest", "climatology"]


def test_its_scores_and_differences_are_metrics_and_in_the_table_of_scores(
    compared, models, fetch, at_home
):
    metrics = fetch(compared.run_id).data.metrics
    differences = compared.comparison.against["forest v1"]
    path = "test/M1.0/brier_skill_score_difference"
    logged = [metrics[f"{path}{end}/compare_to"] for end in ("", "_low", "_high")]
    first = differences[0]
    assert logged == pytest.approx([first.value, first.low, first.high])
    wanted = compared.comparison.scorecards["forest v1"].value("M1.0", "brier_skill_score")
    assert metrics["test/M1.0/brier_skill_score/compare_to"] == pytest.approx(wanted)
    table = mlflow.load_table("scores.json", run_ids=[compared.run_id])
    own = table[table["forecaster"] == "cnn v2 - forest v1"]
    wanted = {(one.event, one.name) for one in differences}
    assert set(zip(own["event"], own["score"], strict=True)) == wanted
    without = fetch(models.evaluation.run_id).data.metrics
    assert [name for name in without if "compare_to" in name] == []


@pytest.mark.parametrize("spelling", ["2", "models:/solar-flare/2"])
def test_the_same_model_twice_is_refused(models, at_home, tmp_path, spelling):
    message = rf"compare_to={spelling} is the model that is evaluated, cnn v2; name another one"
    with pytest.raises(ConfigInvalid, match=message):
        evaluated(at_home, tmp_path / "no", compare_to=spelling)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("spec", "regions", "error", "message"),
    [
        (
            {"image_size": 64},
            (),
            ConfigInvalid,
            r"works on images of 64 pixels and cnn v2 on 32; evaluate it, with compare_to",
        ),
        ({"events": EVENTS[1:]}, (), ConfigInvalid, r"does not forecast B1\.0"),
        ({}, (12000,), DatasetInvalid, r"other was fitted on 1 of the 4 active"),
    ],
)
def test_a_model_that_cannot_be_compared_with_is_refused(
    models, at_home, tmp_path, spec, regions, error, message
):
    origin = Origin("f" * 64, "tiny", True, regions, 2)
    settings = ForecasterSpec(**{"image_size": 32, **spec})
    other = save(
        fit_climatology(np.array(TINY_LABELS), spec=settings, origin=origin), tmp_path / "other"
    )
    with pytest.raises(error, match=message):
        evaluated(at_home, tmp_path / "no", compare_to=str(other))


def test_the_noaa_scale_is_that_of_all_scores_but_the_published_ones(
    models, at_home, tmp_path, fetch
):
    """Of the test labels two are M in the files alone."""
    data = write_tiny_dataset(tmp_path / "data", labels=SCALED_LABELS)
    noaa = evaluated(at_home, tmp_path / "report", data_dir=data, scale="noaa")
    for card in noaa.comparison.scorecards.values():
        assert card.get("M1.0", "brier_score").n_events == 2
        assert card.get("published", "brier_score").n_events == 4
    # Of 8 training regions 4 have M in the files: M1.1, M2.6, M7.1 and X1.3; by NOAA 3 do.
    assert noaa.comparison.scorecards["cnn v2"].climatology["M1.0"] == pytest.approx(3 / 8)
    report = read(noaa)
    parts = [card for cards in report["subsets"].values() for card in cards.values()]
    assert report["scale"] == "noaa"
    assert {card["scale"] for card in [*report["forecasters"].values(), *parts]} == {"noaa"}
    assert "label scale noaa" in (noaa.report / "report.md").read_text(encoding="utf-8")
    assert fetch(noaa.run_id).data.params["scale"] == "noaa"
