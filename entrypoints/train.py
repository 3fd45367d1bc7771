"""Train and register the multitask CNN: `mlflow run . -e train -P epochs=30`."""

from entrypoints.command import run
from flare.config import TrainConfig


def main(config: TrainConfig) -> None:
    """Train, and say what was registered; a further process of torchrun or SLURM only helps."""
    from flare.training.processes import rank_outside
    from flare.workflows import train

    if rank_outside() > 0:
        train.follow(config)
    else:
        print("\n".join(train.run(config).lines()))


if __name__ == "__main__":
    run("train", TrainConfig, main)
