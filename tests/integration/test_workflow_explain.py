import json

import numpy as np
import pytest
from mlflow.artifacts import load_dict

from entrypoints.explain import show_explanation
from flare.config import ExplainConfig, PredictConfig
from flare.datasets.sdobenchmark.labels import read_table
from flare.errors import ConfigInvalid
from flare.workflows import explain, predict


@pytest.fixture
def sample(home):
    return read_table(home.data, "test")["folder"][0]


@pytest.mark.parametrize(("model", "method"), [("1", "occlusion"), ("2", "gradients")])
def test_an_explanation_is_a_figure_and_values_in_a_run(
    models, at_home, sample, newest, tmp_path, capsys, model, method
):
    config = ExplainConfig(
        input=sample, model=model, method=method, event="C1.0", grid=4, output_dir=tmp_path
    )
    explained = explain.run(config)
    values = json.loads((tmp_path / "explanation.json").read_text())
    run = newest("explain")
    assert run.info.status == "FINISHED"
    assert load_dict(f"{run.info.artifact_uri}/explanation.json") == values
    occlusion, *gradients = values["explanations"]
    (row,) = predict.run(PredictConfig(input=sample, model=model)).rows
    assert occlusion["probability"] == pytest.approx(row["probabilities"]["C1.0"], abs=1e-6)
    assert np.shape(occlusion["images"]) == (4, 10)
    assert [one["method"] for one in gradients] == ["integrated gradients"] * (model == "2")
    assert (tmp_path / "explanation.png").stat().st_size > 10_000
    show_explanation(explained)
    shown = capsys.readouterr().out
    assert "SYNTHETIC training data" in shown
    assert "channel" in shown


def test_a_forest_has_no_gradients_and_nothing_is_written(models, at_home, sample, tmp_path):
    config = ExplainConfig(input=sample, model="1", method="gradients", output_dir=tmp_path / "x")
    with pytest.raises(ConfigInvalid, match="use method=occlusion"):
        explain.run(config)
    assert not (tmp_path / "x").exists()
