"""Make a synthetic dataset: `mlflow run . -e synthesize -P data_dir=data/other`."""

from entrypoints.command import run
from entrypoints.show_dataset import show_synthesized
from flare.config import SynthesizeConfig


def main(config: SynthesizeConfig) -> None:
    """Make the dataset and print its sizes, classes and the oracle's scores."""
    from flare.workflows.data.synthesize import run as synthesize

    show_synthesized(synthesize(config))


if __name__ == "__main__":
    run("synthesize", SynthesizeConfig, main)
