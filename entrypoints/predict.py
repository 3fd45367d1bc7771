"""Forecast samples: `mlflow run . -e predict -P input=data/example`."""

from entrypoints.command import run
from entrypoints.show import show_forecasts
from flare.config import PredictConfig


def main(config: PredictConfig) -> None:
    """Forecast, and print one forecast, or the first of several."""
    from flare.workflows.predict import run as predict

    show_forecasts(predict(config))


if __name__ == "__main__":
    run("predict", PredictConfig, main)
