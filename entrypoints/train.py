"""Train and register a network: `mlflow run . -e train -P epochs=30`."""

from entrypoints.command import run, run_in_processes
from flare.config import TrainConfig


def main(config: TrainConfig) -> None:
    """Train a network and print its registered version."""
    from flare.workflows import train

    def lead(config: TrainConfig) -> None:
        print("\n".join(train.run(config).lines()))

    run_in_processes("train", config, lead, train.run_worker)


if __name__ == "__main__":
    run("train", TrainConfig, main)
