"""A forecast with the fields of the public answer: the same for REST, batch prediction and MLflow.

The first five fields are those of the original interface; their names and meaning stay.
"""

from typing import TypedDict

from flare.forecast import Forecast
from flare.forecasters.base import Forecaster
from flare.forecasters.postprocessing.apply import are_coherent
from flare.goes import HEADLINE_EVENT, class_letter, class_of_flux


class Answer(TypedDict):
    """The forecast of one sample.

    ``peak_flux_w_m2`` is the forecast peak GOES 1-8 Angstrom flux of the window in W m^-2 and
    ``log_flux`` its log10; ``flare_class`` its letter and ``goes_class`` the class with a digit.
    ``mx_probability`` is P(peak flux >= 1e-5 W m^-2), ``is_mx_flare`` whether that is at least
    0.5, and ``alert`` whether it reaches ``alert_threshold``, the threshold with the highest true
    skill statistic out of fold. The interval holds ``interval_level`` of all cases if the
    forecaster is calibrated. ``coherent`` says whether flux, interval and probabilities can be of
    one distribution; forecasters of an earlier version may contradict themselves.
    """

    peak_flux_w_m2: float
    log_flux: float
    flare_class: str
    is_mx_flare: bool
    mx_probability: float
    goes_class: str
    flux_low_w_m2: float
    flux_high_w_m2: float
    interval_level: float
    probabilities: dict[str, float]
    alert: bool
    alert_threshold: float
    window_hours: int
    synthetic: bool
    coherent: bool


def answers(forecaster: Forecaster, forecast: Forecast) -> list[Answer]:
    """Return the answer for each of the N forecasts."""
    threshold = forecaster.postprocessing.thresholds[HEADLINE_EVENT]
    coherent = are_coherent(forecast, level=forecaster.spec.interval_level)
    rows: list[Answer] = []
    for row in range(len(forecast)):
        log_flux = float(forecast.log10_flux[row])
        flux = 10.0**log_flux
        probability = float(forecast.probability_of(HEADLINE_EVENT)[row])
        rows.append(
            Answer(
                peak_flux_w_m2=flux,
                log_flux=log_flux,
                flare_class=class_letter(flux),
                is_mx_flare=probability >= 0.5,
                mx_probability=probability,
                goes_class=class_of_flux(flux),
                flux_low_w_m2=10.0 ** float(forecast.lower[row]),
                flux_high_w_m2=10.0 ** float(forecast.upper[row]),
                interval_level=forecaster.spec.interval_level,
                probabilities={
                    event: float(value)
                    for event, value in zip(forecast.events, forecast.probability[row], strict=True)
                },
                alert=probability >= threshold,
                alert_threshold=threshold,
                window_hours=forecaster.spec.window_hours,
                synthetic=forecaster.origin.synthetic,
                coherent=bool(coherent[row]),
            )
        )
    return rows
