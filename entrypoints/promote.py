"""Move the alias Production: `mlflow run . -e promote -P version=2`."""

from entrypoints.command import run
from entrypoints.show import show_history
from flare.config import PromoteConfig


def main(config: PromoteConfig) -> None:
    """Promote and print the Production version; or print the history of Production."""
    from flare.workflows import promote

    if config.version == "history":
        show_history(config.model_name, promote.history(config))
    else:
        print("\n".join(promote.run(config).lines()))


if __name__ == "__main__":
    run("promote", PromoteConfig, main)
