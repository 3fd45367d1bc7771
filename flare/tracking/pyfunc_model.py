"""The forecaster as a pyfunc model of MLflow: a models-from-code script, nothing is pickled.

``mlflow models serve`` and ``mlflow models predict`` run this file from the model's own copy of
``flare``. Our server does not: it loads the forecaster folder itself.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from flare.errors import InputInvalid
from flare.forecasters.answer import answers
from flare.forecasters.storage import load
from flare.sample import present_of_cube
from flare.tracking.tags import FORECASTER_ARTIFACT

# MLflow asks for a type hint on model_input, and then warns of all but list[...]. It sets a filter
# of its own for that, so the warnings are recorded here, and dropped.
with warnings.catch_warnings(record=True):

    class ForecasterModel(PythonModel):
        """Cubes (N, 4, 10, S, S) uint8 in; one row of answers a sample out."""

        def load_context(self, context: PythonModelContext) -> None:
            """Load the forecaster folder among the artifacts."""
            self.forecaster = load(Path(context.artifacts[FORECASTER_ARTIFACT]))

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
            """Forecast; a plane of a single value counts as a missing image.

            MLflow cuts floats in JSON down to whole numbers before they come here: a sample in
            fractions of 255 is then all zeros, and refused as one without images.
            """
            cubes = np.asarray(model_input, dtype=np.uint8)
            present = present_of_cube(cubes)
            if not present.any(axis=(1, 2)).all():
                raise InputInvalid(
                    "every image of a sample is of a single value, so all of them are missing; "
                    "send grey levels 0..255, not fractions"
                )
            forecast = self.forecaster.predict(cubes, present)
            frame = pd.DataFrame(answers(self.forecaster, forecast))
            probabilities = pd.DataFrame(frame.pop("probabilities").tolist())
            return frame.join(probabilities.add_prefix("probability_"))


set_model(ForecasterModel())
