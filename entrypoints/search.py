"""Search hyperparameters with Optuna: `mlflow run . -e search -P trials=40`."""

from entrypoints.command import run
from flare.config.search import SearchConfig


def main(config: SearchConfig) -> None:
    """Search, and say what was best and how to train it."""
    from flare.workflows.search import run as search

    print("\n".join(search(config).lines()))


if __name__ == "__main__":
    run("search", SearchConfig, main)
