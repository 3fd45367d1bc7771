"""What people read in MLflow is what the files of the same run and model say."""

import json

import mlflow
import pytest
from mlflow import MlflowClient

from flare.config import PromoteConfig
from flare.parameters import PromotionScore
from flare.workflows import promote

EVENTS = ("C1.0", "M1.0")


@pytest.fixture(params=["forest", "network"])
def trained(models, at_home, request):
    return getattr(models, request.param)


def validation(run_id: str) -> dict[str, float]:
    """Return the defined values of validation.json under the names of metrics."""
    text = mlflow.artifacts.load_text(f"runs:/{run_id}/validation.json")
    return {
        f"validation/{score['event']}/{score['name']}": score["value"]
        for score in json.loads(text)["scores"]
        if score["value"] is not None
    }


def test_every_final_score_of_a_run_is_that_of_its_validation_file(trained):
    run_id = trained.version.run_id
    wanted, metrics = validation(run_id), MlflowClient().get_run(run_id).data.metrics
    shown = {name: value for name, value in metrics.items() if name in wanted}
    assert "validation/M1.0/brier_skill_score" in shown
    assert shown == {name: wanted[name] for name in shown}
    assert all(name.startswith("epoch/") for name in metrics if name.endswith("loss"))


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("score", PromotionScore.__args__)
def test_promote_chooses_by_the_validation_file_whatever_the_score(models, at_home, event, score):
    where = "flux" if score in ("log10_flux_mae", "ranked_probability_score") else event
    sign = -1 if score in ("log10_flux_mae", "ranked_probability_score") else 1
    values = {
        one.version.version: sign * validation(one.version.run_id)[f"validation/{where}/{score}"]
        for one in (models.forest, models.network)
    }
    config = PromoteConfig(event=event, score=score)
    best, because = promote.choose(config)
    assert values[best.version] == max(values.values())
    assert f"{sign * max(values.values()):.3f}" in because
