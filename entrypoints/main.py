"""The whole job, from data to a promoted model: `mlflow run .`."""

from entrypoints.command import run
from entrypoints.show import show_whole_job
from flare.config import MainConfig


def main(config: MainConfig) -> None:
    """Run every stage, and print the table and what to do next."""
    from flare.workflows.main import run as whole_job

    show_whole_job(whole_job(config))


if __name__ == "__main__":
    run("main", MainConfig, main)
