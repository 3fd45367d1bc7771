"""Register several models as one: `mlflow run . -e ensemble -P models=1,2`."""

from entrypoints.command import run
from flare.config import EnsembleConfig


def main(config: EnsembleConfig) -> None:
    """Combine them, and print the registered version."""
    from flare.workflows.ensemble import run as ensemble

    print("\n".join(ensemble(config).lines()))


if __name__ == "__main__":
    run("ensemble", EnsembleConfig, main)
