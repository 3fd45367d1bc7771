"""Score a model and reference forecasts: `mlflow run . -e evaluate -P model=Production`."""

from entrypoints.command import run
from entrypoints.show import show_evaluation
from flare.config import EvaluateConfig


def main(config: EvaluateConfig) -> None:
    """Score, and print the tables."""
    from flare.workflows.evaluate import run as evaluate

    show_evaluation(evaluate(config))


if __name__ == "__main__":
    run("evaluate", EvaluateConfig, main)
