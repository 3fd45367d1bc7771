"""The whole job, from data to a promoted model: `mlflow run .`."""

import sys

from entrypoints.command import fail, run
from entrypoints.show import show_whole_job
from flare.config import MainConfig
from flare.errors import FlareError


def main(config: MainConfig) -> None:
    """Run every stage and print the table; with several devices, start their processes."""
    from flare.training.processes import global_rank, launch, needs_launch
    from flare.workflows import main

    if needs_launch(config):
        sys.exit(launch("entrypoints.main", sys.argv[1:], processes=config.devices))
    if global_rank() > 0:
        try:
            main.follow(config)
        except FlareError as error:
            fail(f"main, rank {global_rank()}", str(error))
    else:
        show_whole_job(main.run(config))


if __name__ == "__main__":
    run("main", MainConfig, main)
