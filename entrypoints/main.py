"""The whole job, from data to a promoted model: `mlflow run .`."""

from entrypoints.command import run, run_in_processes
from entrypoints.show import show_whole_job
from flare.config import MainConfig


def main(config: MainConfig) -> None:
    """Run every stage, and print the table and what to do next."""
    from flare.workflows import main

    def lead(config: MainConfig) -> None:
        show_whole_job(main.run(config))

    run_in_processes("main", config, lead, main.follow)


if __name__ == "__main__":
    run("main", MainConfig, main)
