"""Train and register the multitask CNN: `mlflow run . -e train -P epochs=30`."""

from entrypoints.command import run
from flare.config import TrainConfig


def main(config: TrainConfig) -> None:
    """Train, and say what was registered."""
    from flare.workflows.train import run as train

    print("\n".join(train(config).lines()))


if __name__ == "__main__":
    run("train", TrainConfig, main)
