import warnings
from dataclasses import replace

import numpy as np
import pytest

from flare.errors import ModelNotFound
from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.references.climatology import fit_climatology
from flare.sample import CUBE_SHAPE
from serving.models.follower import Follower
from serving.models.mlflow_source import MLflowSource, ModelCache

NAME = "solar-flare"


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('registry')}/mlflow.db"


@pytest.fixture(scope="module")
def versions(uri, tmp_path_factory):
    """A climatology as versions 1 and 2 of a fresh registry, neither of them promoted."""
    import mlflow

    from flare.tracking import packaging, registry, runs

    origin = Origin("0", "test", True, (), 2)
    spec = ForecasterSpec(image_size=256)
    model = fit_climatology(np.array([1e-9, 1e-5]), spec=spec, origin=origin)
    example = np.ones(CUBE_SHAPE, dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own deprecations
        patch.chdir(tmp_path_factory.mktemp("work"))  # where MLflow puts artifacts
        patch.setenv("MLFLOW_TRACKING_URI", uri)  # MLflow sets it too: here it is put back
        registry.connect(uri)
        with runs.start("train", name="test") as run:
            first = packaging.package(
                run, model, example=example, family="climatology", model_name=NAME, tags={}
            )
        mlflow.MlflowClient().copy_model_version(first.uri, NAME)
        yield first, replace(first, version=2)
        mlflow.set_tracking_uri(None)  # for the tests that come after


def test_the_follower_serves_what_the_registry_promotes(uri, versions, tmp_path):
    from flare.tracking.registry import move_production

    address = f"models:/{NAME}@Production"
    cache = ModelCache(tmp_path, address)
    source = MLflowSource(address, model_name=NAME, tracking_uri=uri, cache=cache)
    follower = Follower(source, poll_seconds=60)
    follower.poll_once()
    with pytest.raises(ModelNotFound, match="-e promote"):
        follower.snapshot()

    served = []
    for version in (*versions, versions[0]):
        move_production(version)
        follower.poll_once()
        live = follower.snapshot()
        assert live.folder.is_dir()
        served.append(live.version.number)
        assert live.details["run_id"] == versions[0].run_id
        assert live.forecaster.log10_flux_quantiles[1] == pytest.approx(-7)
    assert served == ["1", "2", "1"]
