import errno
import sys

import mlflow
import numpy as np
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from flare.errors import ModelNotFound, TrackingUnavailable
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.references.climatology import fit_climatology
from flare.forecasters.storage import load
from flare.sample import N_CHANNELS, N_STEPS
from flare.tracking import promotions, registry
from flare.tracking.packaging import package
from flare.tracking.runs import start

from workplace import working_in

NAME = "climatology"
FLUX = np.array([1e-9, 4e-6, 3e-5, 2e-4])


def packaged(run, name: str = NAME):
    """Package and register a climatology."""
    origin = Origin("0" * 64, "tiny", True, (11000,), len(FLUX))
    forecaster = fit_climatology(FLUX, spec=ForecasterSpec(image_size=32), origin=origin)
    example = np.ones((N_STEPS, N_CHANNELS, 32, 32), dtype=np.uint8)
    about = {"example": example, "family": "climatology", "model_name": name, "tags": {}}
    return package(run, forecaster, **about)


@pytest.fixture(scope="module")
def two_versions(home):
    """Versions 1 and 2 of a model that nobody has promoted yet."""
    result = []
    with working_in(home.folder):
        for _ in range(2):
            with start("baseline", name="climatology") as run:
                result.append(packaged(run))
    return result


@pytest.fixture
def unpromoted(at_home, two_versions):
    """The two versions without an alias or tags of promotions."""
    client = MlflowClient()
    yield two_versions
    client.delete_registered_model_alias(NAME, "Production")
    for version in ("1", "2"):
        for key in ("flare.previous_production", "flare.promoted_at"):
            client.delete_model_version_tag(NAME, version, key)


def tags_and_aliases() -> tuple[dict[int, dict[str, str]], dict[str, int]]:
    versions = MlflowClient().search_model_versions(f"name='{NAME}'")
    aliases = MlflowClient().get_registered_model(NAME).aliases
    return {int(one.version): one.tags for one in versions}, {k: int(v) for k, v in aliases.items()}


def test_a_model_that_does_not_exist_is_not_found_and_the_error_has_the_command(at_home):
    with pytest.raises(ModelNotFound, match=r"'no-such'.*sqlite:.*mlflow run \. -e promote"):
        registry.production_version("no-such")
    with pytest.raises(ModelNotFound, match=r"'no-such'.*sqlite:.*mlflow run \. -e train"):
        registry.get_version("no-such", 1)
    assert registry.versions("no-such") == []


def test_versions_come_newest_first_with_their_run(at_home, two_versions):
    assert [one.version for one in registry.versions(NAME)] == [2, 1]
    assert registry.versions(NAME)[1].run_id == two_versions[0].run_id
    with pytest.raises(ModelNotFound, match="no version 7 of 'climatology'; registered: 2, 1"):
        registry.get_version(NAME, 7)
    with pytest.raises(ModelNotFound, match=r"'Production'.*-e promote"):
        registry.production_version(NAME)
    with pytest.raises(ModelNotFound, match="'production'"):  # case-sensitive
        registry.production_version(NAME, "production")


def test_promotion_moves_the_alias_and_records_which_version_was_there(unpromoted):
    first, second = unpromoted
    assert promotions.move_production(first) is None
    assert registry.production_version(NAME).version == 1
    assert promotions.previous_production(first) is None
    assert promotions.move_production(second) == 1
    assert tags_and_aliases()[1] == {"Production": 2}
    assert promotions.previous_production(second) == 1
    before = tags_and_aliases()
    assert promotions.move_production(second) == 2  # twice changes nothing
    assert tags_and_aliases() == before
    MlflowClient().delete_registered_model_alias(NAME, "Production")
    assert promotions.move_production(second) is None


def test_the_alias_address_loads_the_promoted_version(unpromoted, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])  # MLflow puts the model's code there
    promotions.move_production(unpromoted[1])
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@Production")
    source = MlflowClient().get_model_version(NAME, "2").source
    assert f"models:/{model.metadata.model_id}" == source


def test_the_downloaded_forecaster_is_the_one_that_was_packaged(at_home, two_versions, tmp_path):
    forecaster = load(registry.download_uri(two_versions[0].uri, tmp_path))
    cubes = np.ones((2, N_STEPS, N_CHANNELS, 32, 32), dtype=np.uint8)
    forecast = forecaster.predict(cubes, np.ones((2, N_STEPS, N_CHANNELS), dtype=bool))
    assert forecaster.origin.active_regions == (11000,)
    assert forecast.probability_of("M1.0") == pytest.approx([0.5, 0.5])


def test_an_address_that_names_no_forecaster_is_not_found(at_home, two_versions, tmp_path):
    with start("pack", name="no model") as run:
        run.log_text("x", "model/notes.txt")
    missing = ["models:/no-such/1", f"models:/{NAME}/7", f"models:/{NAME}@Best"]
    for uri in (*missing, f"runs:/{'0' * 32}/m", f"runs:/{run.id}/model"):
        with pytest.raises(ModelNotFound, match=uri):
            registry.download_uri(uri, tmp_path)


@pytest.mark.parametrize(
    "failure",
    [
        MlflowException("API request failed with exception: timed out"),
        requests.ConnectionError("connection reset by peer"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_a_store_that_fails_on_the_way_is_not_called_a_missing_model(
    two_versions, at_home, tmp_path, monkeypatch, failure
):
    def fail(**_given):
        raise failure

    monkeypatch.setattr("mlflow.artifacts.download_artifacts", fail)
    with pytest.raises(TrackingUnavailable, match=r"timed out|reset by peer|No space left"):
        registry.download_uri(two_versions[0].uri, tmp_path)


def test_a_registry_that_fails_is_not_called_a_missing_alias(at_home, monkeypatch):
    def fail(*_given):
        raise MlflowException("API request failed with exception: timed out")

    monkeypatch.setattr(MlflowClient, "get_model_version_by_alias", fail)
    with pytest.raises(TrackingUnavailable, match="timed out"):
        registry.production_version("solar-flare")


@pytest.mark.parametrize("step", ["create_logged_model", "create_model_version"])
def test_a_registration_that_was_interrupted_and_resumed_makes_one_version(
    at_home, monkeypatch, request, step
):
    name = request.node.name
    real = getattr(MlflowClient, step)

    def stopped(*given, **named):
        real(*given, **named)
        raise KeyboardInterrupt

    with start("baseline", name="stopped") as run:
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, step, stopped)
            with pytest.raises(KeyboardInterrupt):
                packaged(run, name)
        version = packaged(run, name)
    assert [v.version for v in registry.versions(name)] == [version.version] == [1]
    result = MlflowClient().search_logged_models(["0"], f"source_run_id = '{run.id}'")
    assert [model.model_id for model in result] == [version.model_id]
