"""Train and register a network: `mlflow run . -e train -P epochs=30`."""

import sys

from entrypoints.command import fail, run
from flare.config import TrainConfig
from flare.errors import FlareError


def main(config: TrainConfig) -> None:
    """Train and print the registered version; with several devices, start their processes."""
    from flare.training.processes import global_rank, launch, needs_launch
    from flare.workflows import train

    if needs_launch(config):
        sys.exit(launch("entrypoints.train", sys.argv[1:], processes=config.devices))
    if global_rank() > 0:
        try:
            train.follow(config)
        except FlareError as error:
            fail(f"train, rank {global_rank()}", str(error))
    else:
        print("\n".join(train.run(config).lines()))


if __name__ == "__main__":
    run("train", TrainConfig, main)
