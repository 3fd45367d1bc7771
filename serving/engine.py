"""From a checked cube and one model to an answer, and the proof that a model can answer at all."""

import numpy as np

from flare.errors import ForecasterInvalid
from flare.forecasters.answer import answers
from flare.forecasters.base import Forecast, Forecaster
from flare.goes import HEADLINE_EVENT
from flare.sample import CUBE_SHAPE, N_PLANES, present_of_cube
from serving.schemas import Prediction
from serving.source import Loaded
from serving.uploads import cube_of_upload


def predict_upload(live: Loaded, data: bytes) -> Prediction:
    """Check the bytes of a .npy file and forecast from them with one model; blocks a thread.

    Raises
    ------
    InputInvalid
        The bytes are no sample.
    ForecasterInvalid
        The model answered nonsense.
    """
    cubes = cube_of_upload(data)[None]  # (1, T, C, H, W)
    present = present_of_cube(cubes)  # (1, T, C)
    forecast = live.forecaster.predict(cubes, present)
    check_forecast(forecast, n=1)
    return Prediction(
        **answers(live.forecaster, forecast)[0],
        model_name=live.name,
        model_version=live.version,
        missing_images=N_PLANES - int(present.sum()),
    )


def self_test(forecaster: Forecaster) -> None:
    """Forecast from a ramp of grey levels, once complete and once with half the images missing.

    Raises
    ------
    ForecasterInvalid
        It fails, or answers other than a Forecast must be.
    """
    ramp = np.linspace(1, 255, np.prod(CUBE_SHAPE)).astype(np.uint8).reshape(CUBE_SHAPE)
    cubes = np.stack([ramp, ramp])
    cubes[1, :, ::2] = 0
    cubes.flags.writeable = False  # as an upload's are
    try:
        forecast = forecaster.predict(cubes, present_of_cube(cubes))
        check_forecast(forecast, n=2)
        answers(forecaster, forecast)
    except ForecasterInvalid:
        raise
    except Exception as error:
        raise ForecasterInvalid(f"the self-test ends in {type(error).__name__}: {error}") from error


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
