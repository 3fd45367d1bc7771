"""Make a synthetic dataset: `mlflow run . -e synthesize -P data_dir=data/other`."""

from entrypoints.command import run
from flare.config import SynthesizeConfig


def main(config: SynthesizeConfig) -> None:
    """Make it, and say what is in it."""
    from flare.workflows.synthesize import run as synthesize

    print(synthesize(config))


if __name__ == "__main__":
    run("synthesize", SynthesizeConfig, main)
