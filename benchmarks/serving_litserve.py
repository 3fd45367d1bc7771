"""LitServe with our engine, for `benchmarks.serving`.

`pip install litserve`: it is not a dependency of the project.
"""

import io
import sys
from typing import Any

import litserve
import numpy as np
from fastapi import Request

from benchmarks.serving_peers import forecaster_of, grey
from flare.cores import usable_cores
from flare.forecasters.answer import answers
from flare.sample import present_of_cube


class Api(litserve.LitAPI):
    """One worker: a forecaster that takes one core."""

    def setup(self, device: str) -> None:  # noqa: ARG002
        """Load the model, once a worker."""
        self.forecaster = forecaster_of().with_threads(1)

    def decode_request(self, request: Request) -> np.ndarray[Any, Any]:
        """Read the upload."""
        return grey(np.load(io.BytesIO(request["file"].file.read())))

    def predict(self, cubes: np.ndarray[Any, Any]) -> dict[str, Any]:
        """Forecast."""
        forecast = self.forecaster.predict(cubes, present_of_cube(cubes))
        return dict(answers(self.forecaster, forecast)[0])

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """Answer as it is."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(
        Api(api_path="/predict_npy"), accelerator="cpu", workers_per_device=usable_cores()
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
