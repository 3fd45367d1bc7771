"""Check a dataset and draw what it holds: `mlflow run . -e inspect -P data_dir=...`."""

from entrypoints.command import run
from entrypoints.show_dataset import show_census
from flare.config import InspectConfig


def main(config: InspectConfig) -> None:
    """Inspect, print the census, and say where the figures are."""
    from flare.workflows.data.inspect import run as inspect

    inspection = inspect(config)
    show_census(inspection.census)
    print(f"census and figures: {inspection.folder}/  (run {inspection.run_id})")
    print(f"sample in the figures: {inspection.sample}")


if __name__ == "__main__":
    run("inspect", InspectConfig, main)
