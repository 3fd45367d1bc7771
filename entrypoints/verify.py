"""Score forecasts of any origin: `mlflow run . -e verify -P forecasts=FILE -P events=FILE`."""

from entrypoints.command import run
from entrypoints.show_verification import show_verification
from flare.config.verify import VerifyConfig


def main(config: VerifyConfig) -> None:
    """Score, and print the tables."""
    from flare.workflows.verify import run as verify

    show_verification(verify(config))


if __name__ == "__main__":
    run("verify", VerifyConfig, main)
