"""Forecast the numbered regions of the real Sun: `mlflow run . -e nowcast -P source=jsoc`."""

from entrypoints.command import run
from entrypoints.show_nowcast import show_nowcast
from flare.config.nowcast import NowcastConfig


def main(config: NowcastConfig) -> None:
    """Forecast, and print the regions."""
    from flare.workflows.nowcast import run as nowcast

    show_nowcast(nowcast(config))


if __name__ == "__main__":
    run("nowcast", NowcastConfig, main)
