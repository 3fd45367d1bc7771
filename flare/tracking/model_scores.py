"""Scores of a logged model, each with the dataset that it is of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class DatasetName(NamedTuple):
    """What MLflow knows a dataset by."""

    name: str
    digest: str


@dataclass(frozen=True)
class ModelScores:
    """Metrics of a model on one dataset; ``time`` is in milliseconds since 1970.

    The run that computed them logs the same: MLflow keeps one row of a metric with the same value,
    step and time.
    """

    metrics: Mapping[str, float]
    dataset: DatasetName
    time: int

    def entry(self) -> dict[str, Any]:
        """Return them as an entry of a run's journal."""
        values = {"metrics": dict(self.metrics), "time": self.time, "step": 0}
        return {**values, "dataset": list(self.dataset)}
