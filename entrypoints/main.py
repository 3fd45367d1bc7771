"""The whole job, from data to a promoted model: `mlflow run .`."""

from typing import TYPE_CHECKING

from entrypoints.command import run, run_in_processes
from entrypoints.show import show_evaluation, show_forecasts
from flare.config import MainConfig

if TYPE_CHECKING:
    from flare.workflows.main import WholeJob


def main(config: MainConfig) -> None:
    """Run every stage, and print the table and what to do next."""
    from flare.workflows import main

    def lead(config: MainConfig) -> None:
        show_whole_job(main.run(config))

    run_in_processes("main", config, lead, main.run_worker)


def show_whole_job(job: "WholeJob") -> None:
    """Print the results and times of the stages, and the next commands."""
    print()
    show_evaluation(job.evaluation)
    print()
    print("\n".join(job.promoted.lines() if job.promoted else ["Production stays as it was"]))
    print()
    show_forecasts(job.forecasts)
    times = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in job.seconds.items())
    print(f"\ntook {sum(job.seconds.values()):.0f} s: {times}\n")
    print(
        "next:\n"
        "  make ui       compare the runs in MLflow's UI\n"
        "  make serve    forecasts over HTTP, http://127.0.0.1:8000\n"
        "  . .venv/bin/activate && mlflow run . -e train -P epochs=30 "
        "--experiment-name solar-flare --env-manager local"
    )


if __name__ == "__main__":
    run("main", MainConfig, main)
