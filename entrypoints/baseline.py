"""Fit and register the random forest: `mlflow run . -e baseline`."""

from entrypoints.command import run
from flare.config import BaselineConfig


def main(config: BaselineConfig) -> None:
    """Fit, and say what was registered."""
    from flare.workflows.baseline import run as baseline

    print("\n".join(baseline(config).lines()))


if __name__ == "__main__":
    run("baseline", BaselineConfig, main)
