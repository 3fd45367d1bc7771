"""What a model takes and answers, in words that a program can read."""

from typing import Any

from flare.forecasters.base import ForecasterSpec
from flare.sample import IMAGE_SIZE
from serving.schemas import Prediction


def signature_of(spec: ForecasterSpec) -> dict[str, Any]:
    """Describe the array that goes in and the fields that come out."""
    steps, channels = len(spec.step_offsets_minutes), len(spec.channels)
    fields = Prediction.model_json_schema()["properties"]
    return {
        "inputs": {
            "name": "cube",
            "dtype": "uint8",
            "shape": [steps, channels, IMAGE_SIZE, IMAGE_SIZE],
            "axes": ["time step", "channel", "row", "column"],
            "unit": "SDOBenchmark's grey levels 0..255",
        },
        "outputs": {name: field.get("description", "") for name, field in fields.items()},
    }
