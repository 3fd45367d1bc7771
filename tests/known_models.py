"""Registered models of which a test knows what each answers, so that an answer proves its version.

They are made in milliseconds, without training, and their forecasts lie far from each other.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import isclose
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray

from flare.forecasters.answer import answers
from flare.forecasters.base import Forecaster, ForecasterSpec, Origin
from flare.forecasters.network import NetworkForecaster
from flare.forecasters.references.climatology import Climatology, fit_climatology
from flare.forecasters.storage import save
from flare.models import NetworkConfig, build
from flare.models.normalisation import ChannelNormalisation
from flare.sample import N_CHANNELS, Cube, present_of_cube
from flare.tracking import registry
from flare.tracking.promotions import move_production
from flare.tracking.tags import FORECASTER_ARTIFACT

from workplace import working_in

NAME = "solar-flare"
ORIGIN = Origin("0" * 16, "test", True, (), 3)
LABELS = np.array([1e-9, 1e-9, 3e-7, 2e-6, 4e-6, 3e-5])


def climatology(log10_flux: float) -> Forecaster:
    """Forecast this, whatever the images show."""
    labels = 10.0 ** (log10_flux + np.array([-1.0, 0.0, 1.0]))
    return fit_climatology(labels, spec=ForecasterSpec(image_size=256), origin=ORIGIN)


def climatology_of(labels: NDArray[np.float64] = LABELS) -> Climatology:
    """Forecast the quantiles of labels, whatever the images show."""
    origin = Origin("0", "test", True, (), len(labels))
    return fit_climatology(labels, spec=ForecasterSpec(image_size=256), origin=origin)


def network(
    log10_flux: float, *, broken: bool = False, architecture: str = "cnn", width: int = 2
) -> Forecaster:
    """Forecast about this, by a small untrained network; a broken one loads and answers NaN."""
    torch.manual_seed(0)
    config = NetworkConfig(architecture, width=width, hidden=4)
    untrained = build(config)
    untrained.heads.start_at(log10_flux, (0.6, 0.4, 0.2, 0.1))
    if broken:
        with torch.no_grad():
            for weights in untrained.parameters():
                weights.fill_(float("nan"))
    scale = ChannelNormalisation((128.0,) * N_CHANNELS, (64.0,) * N_CHANNELS)
    return NetworkForecaster(
        untrained, config, scale, spec=ForecasterSpec(image_size=32), origin=ORIGIN
    )


def answer_of(forecaster: Forecaster, cube: Cube) -> dict[str, object]:
    """Return what the server must answer of one cube (T, C, S, S)."""
    cubes = cube[None]
    return dict(answers(forecaster, forecaster.predict(cubes, present_of_cube(cubes)))[0])


def same(wanted: object, result: object) -> bool:
    """Whether an answer has these fields, with floats that are the same but for rounding."""
    if isinstance(wanted, Mapping):
        return isinstance(result, Mapping) and all(same(wanted[k], result.get(k)) for k in wanted)
    if isinstance(wanted, float):
        return isinstance(result, float) and isclose(wanted, result, rel_tol=1e-4)
    return wanted == result


@dataclass(frozen=True)
class Shelf:
    """A registry that a test fills: its address, and what each good version answers of ``cube``.

    ``folder`` holds its files.
    """

    uri: str
    folder: Path
    cube: Cube
    expected: dict[str, dict[str, object]] = field(default_factory=dict)
    runs: dict[int, str] = field(default_factory=dict)

    def register(self, forecaster: Forecaster, *, good: bool = True) -> int:
        """Make the next version; nobody promotes it.

        Only the forecaster's folder is stored, at the place where the server looks for it: to log
        a whole MLflow model takes seconds (`test_served_answers_agree` does that).
        """
        client = MlflowClient()
        run_id = client.create_run("0").info.run_id
        with tempfile.TemporaryDirectory() as draft:
            save(forecaster, Path(draft) / "artifacts" / FORECASTER_ARTIFACT)
            client.log_artifacts(run_id, draft, "model")
        with suppress(MlflowException):  # it is there already
            client.create_registered_model(NAME)
        result = client.create_model_version(NAME, f"runs:/{run_id}/model", run_id=run_id)
        self.runs[int(result.version)] = run_id
        if good:
            self.expected[str(result.version)] = answer_of(forecaster, self.cube)
        return int(result.version)

    def damage(self, version: int) -> None:
        """Change a byte of a version's weights where they are stored."""
        (weights,) = (
            path
            for path in self.folder.rglob("weights.safetensors")
            if self.runs[version] in path.parts
        )
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)

    def promote(self, version: int) -> None:
        """Move the alias, as `mlflow run . -e promote` does in the end."""
        move_production(registry.get_version(NAME, version))


@contextmanager
def shelf(folder: Path, uri: str, cube: Cube) -> Iterator[Shelf]:
    """Work in a folder, with an address of a store or server for runs and models."""
    with working_in(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        registry.connect(uri)
        yield Shelf(uri, folder, cube)
        mlflow.set_tracking_uri(None)  # for the tests that come after
