"""Forecast with one model, and test before it goes live that it can."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from flare.errors import ForecasterInvalid
from flare.forecast import Forecast
from flare.forecast_facts import SampleFacts, new_forecast_id, now
from flare.forecasters.answer import answers
from flare.forecasters.base import ONNX_RUNTIME, TORCH, Forecaster, limit_torch
from flare.forecasters.training_inputs import check_inputs
from flare.goes import HEADLINE_EVENT
from flare.sample import CUBE_SHAPE, Cube, Present, present_of_cube, reduce_cubes
from serving.models.source import Loaded
from serving.schemas import Prediction

#: Most cores for one request: threads that wait for each other gain less the more there are.
MAX_CORES_PER_REQUEST = 4


def predict(
    live: Loaded,
    cubes: Cube,
    present: Present,
    *,
    facts: Sequence[SampleFacts] = (),
    all_cores: bool = False,
) -> list[Prediction]:
    """Forecast from N samples with one model; blocks a thread.

    Raises
    ------
    InputInvalid
        The times in ``facts`` contradict each other or the model's window.
    ForecasterInvalid
        The model's numbers are not finite, not ordered or not probabilities.
    """
    known = facts or [SampleFacts()] * len(cubes)
    spec, training = live.forecaster.spec, live.forecaster.training_inputs
    windows = [one.window(spec.window_hours) for one in known]
    cubes = reduce_cubes(cubes, spec.image_size)  # once for both
    forecast = forecast_with(live, cubes, present, all_cores=all_cores)
    checks = check_inputs(cubes, present, training, size=spec.image_size)
    rows = zip(answers(live.forecaster, forecast), present, known, windows, checks, strict=True)
    return [
        Prediction(
            **answer,
            forecast_id=new_forecast_id(),
            issue_time=window.issue_time or now(),
            valid_from=window.valid_from,
            valid_to=window.valid_to,
            active_region=fact.active_region,
            input_digest=fact.input_digest,
            model_name=live.name,
            model_version=live.version.number,
            **check.fields(images),
        )
        for answer, images, fact, window, check in rows
    ]


def forecast_with(
    live: Loaded, cubes: Cube, present: Present, *, all_cores: bool = False
) -> Forecast:
    """Return the checked forecast of N samples; see ``predict``."""
    forecaster = live.multi_core if all_cores and live.multi_core else live.forecaster
    forecast = forecaster.predict(cubes, present)
    check_forecast(forecast, n=len(cubes))
    return forecast


def prepare(loaded: Loaded, *, cores: int) -> Loaded:
    """Set the threads of a model for this number of cores.

    A forecast takes one core, so that others run at the same time; the only request takes all of
    them, up to `MAX_CORES_PER_REQUEST`, as threads of ONNX Runtime (equal to within 1e-7).
    """
    forecaster = loaded.forecaster
    if TORCH in forecaster.engine and forecaster.device == "cpu":
        limit_torch(1)
    threads = min(cores, MAX_CORES_PER_REQUEST) if ONNX_RUNTIME in forecaster.engine else 1
    multi_core = forecaster.with_threads(threads) if threads > 1 else None
    return replace(loaded, forecaster=forecaster.with_threads(1), multi_core=multi_core)


def self_test(forecaster: Forecaster) -> None:
    """Forecast from a ramp of grey levels, once complete and once with half the images missing.

    Raises ForecasterInvalid: it fails, or its numbers are not those of a forecast.
    """
    ramp = np.linspace(1, 255, np.prod(CUBE_SHAPE)).astype(np.uint8).reshape(CUBE_SHAPE)
    cubes = np.stack([ramp, ramp])
    cubes[1, :, ::2] = 0
    cubes.flags.writeable = False  # like those of an upload
    try:
        forecast = forecaster.predict(cubes, present_of_cube(cubes))
        check_forecast(forecast, n=2)
        answers(forecaster, forecast)
    except (ForecasterInvalid, MemoryError):
        raise  # there may be enough memory later
    except Exception as error:
        raise ForecasterInvalid(f"the self-test raised {type(error).__name__}: {error}") from error


def check_forecast(forecast: Forecast, *, n: int) -> None:
    """Raise ForecasterInvalid unless it has N rows of finite, ordered fluxes and probabilities."""
    low, flux, high = forecast.lower, forecast.log10_flux, forecast.upper
    probability = forecast.probability
    if {low.shape, flux.shape, high.shape} != {(n,)}:
        raise ForecasterInvalid(f"fluxes have shapes {flux.shape}, {low.shape}, {high.shape}")
    if probability.shape != (n, len(forecast.events)) or HEADLINE_EVENT not in forecast.events:
        raise ForecasterInvalid(
            f"probabilities have shape {probability.shape} for the events {forecast.events}"
        )
    # Written so that NaN fails every comparison.
    if not ((low <= flux) & (flux <= high) & np.isfinite(low) & np.isfinite(high)).all():
        raise ForecasterInvalid(f"the log10 fluxes {flux} are not within {low} and {high}")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ForecasterInvalid(f"the probabilities {probability} are not within 0 and 1")
