"""Where MLflow's pages show the runs: `python -m flare.tracking.pages` says in which experiment."""

import sys

from mlflow import MlflowClient

from flare.tracking.resuming import experiment_of_new_runs
from flare.tracking.runs import answering, connect


def experiment_id() -> str:
    """Return the id of the experiment that new runs go to; the default one's where it has none."""
    connect()
    with answering():
        return experiment_of_new_runs(MlflowClient()) or "0"


if __name__ == "__main__":
    sys.stdout.write(experiment_id())
