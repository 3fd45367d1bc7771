"""Move the alias Production: `mlflow run . -e promote -P version=2`."""

from entrypoints.command import run
from flare.config import PromoteConfig


def main(config: PromoteConfig) -> None:
    """Promote, and say what is Production now."""
    from flare.workflows.promote import run as promote

    print("\n".join(promote(config).lines()))


if __name__ == "__main__":
    run("promote", PromoteConfig, main)
