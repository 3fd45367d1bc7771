"""Logistic regression on the features of an image table: the rival that a forest has to beat.

One linear model for each event, and one for the log10 of the peak flux. On a single feature that
measures the polarity inversion line it is the physics threshold of the field. Fitting is in
``logistic_fit``; what is fitted are plain numbers in JSON.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from flare.errors import ForecasterInvalid
from flare.features.table import compute_features
from flare.forecasters.base import (
    LOG10_FLUX_RANGE,
    Forecast,
    ForecasterSpec,
    Origin,
    Tuning,
    check_cubes,
)
from flare.forecasters.standardisation import Standardisation, numbers
from flare.sample import Cube, Present, reduce_cubes


@dataclass(frozen=True)
class Linear:
    """K linear models on the same D inputs: ``coefficients`` (K, D) and ``intercepts`` (K,)."""

    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    def __call__(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, K) from inputs (N, D)."""
        # A sum over an axis, not a product of matrices: BLAS rounds a row differently in another
        # batch, and with it an answer would depend on its neighbours.
        answers = [(inputs * row).sum(axis=1) for row in self.coefficients]
        return np.stack(answers, axis=1) + self.intercepts


@dataclass(frozen=True)
class LogisticForecaster:
    """Linear models on standardised features, with what was tuned on validation.

    The first of ``models`` answers log10 W m^-2, the others the log-odds of each event.
    """

    kind: ClassVar[str] = "logistic"
    standardisation: Standardisation
    models: Linear
    spec: ForecasterSpec
    origin: Origin
    tuning: Tuning = field(default_factory=Tuning)

    def predict(self, cubes: Cube, present: Present) -> Forecast:
        """Compute the features of N samples, and forecast from them."""
        check_cubes(cubes, present)
        return self.predict_features(
            compute_features(reduce_cubes(cubes, self.spec.image_size), present)
        )

    def predict_features(self, features: NDArray[np.float64]) -> Forecast:
        """Forecast from features (N, F) in the order of ``FEATURE_NAMES``, NaN where missing."""
        answers = self.models(self.standardisation(features))  # (N, 1 + E)
        log10_flux = np.clip(answers[:, 0], *LOG10_FLUX_RANGE)
        # tanh, because exp overflows where it is very sure.
        single = (1 + np.tanh(answers[:, 1:] / 2)) / 2
        return self.tuning.finish(log10_flux, single, self.spec.events)

    def with_tuning(self, tuning: Tuning) -> Self:
        """Return the same forecaster with other thresholds and residuals."""
        return replace(self, tuning=tuning)

    def save_parts(self, folder: Path) -> dict[str, object]:  # noqa: ARG002 - all of it is JSON
        """Return all numbers; there is nothing to write."""
        return {
            **self.standardisation.as_parts(),
            "coefficients": self.models.coefficients.tolist(),
            "intercepts": self.models.intercepts.tolist(),
        }

    @classmethod
    def load_parts(
        cls,
        folder: Path,
        parts: dict[str, Any],
        *,
        spec: ForecasterSpec,
        tuning: Tuning,
        origin: Origin,
    ) -> Self:
        """Rebuild from the JSON values of ``save_parts``.

        Raises
        ------
        ForecasterInvalid
            A feature is unknown, or numbers are too few, too many or not finite.
        """
        try:
            standardisation = Standardisation.of_parts(parts)
            n_models, width = 1 + len(spec.events), len(standardisation.mean)
            models = Linear(
                numbers(parts, "coefficients", (n_models, width)),
                numbers(parts, "intercepts", (n_models,)),
            )
        except (ForecasterInvalid, KeyError, TypeError, ValueError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise ForecasterInvalid(
                f"the logistic regression in {folder} is unusable: {reason}"
            ) from error
        return cls(standardisation, models, spec, origin, tuning)
