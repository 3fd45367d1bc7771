"""Whether a forecaster has learned anything: what is said of one that has not."""

from collections.abc import Mapping

import numpy as np

from flare.forecast import Forecast
from flare.goes import EVENTS, HEADLINE_EVENT, event_outcomes
from flare.verification.inputs import Observations
from flare.verification.ranked import ranked_probability_score

#: Standard deviations, of a probability and in dex, below which forecasts count as constant.
CONSTANT_PROBABILITY, CONSTANT_LOG10_FLUX = 1e-4, 1e-3


def why_not_learned(
    forecasts: Forecast, observations: Observations, climatology: Mapping[str, float]
) -> str | None:
    """Return why forecasts are worth no more than climatology, None where they are worth more.

    They are the same for all samples, or their ranked probability score over the GOES classes is
    not below that of the training rates.

    Parameters
    ----------
    climatology
        How often each event happens among the training samples.
    """
    spread = forecasts.probability[:, forecasts.events.index(HEADLINE_EVENT)].std()
    dex = forecasts.log10_flux.std()
    if spread < CONSTANT_PROBABILITY and dex < CONSTANT_LOG10_FLUX:
        return (
            f"it forecasts the same for all validation samples: standard deviation {spread:.1e} "
            f"of P({HEADLINE_EVENT}) and {dex:.1e} dex of log10 flux"
        )
    reached = event_outcomes(observations.peak_flux, EVENTS)
    columns = [forecasts.events.index(event) for event in EVENTS]
    rates = np.tile([climatology[event] for event in EVENTS], (len(reached), 1))
    score = float(ranked_probability_score(reached, forecasts.probability[:, columns]))
    reference = float(ranked_probability_score(reached, rates))
    if score < reference:
        return None
    return (
        f"it is not better than climatology on the validation regions: ranked probability score "
        f"{score:.4f}, climatology {reference:.4f}"
    )
