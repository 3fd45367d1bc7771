"""Get SDOBenchmark: `mlflow run . -e download -P what=full -P dest=data/raw`."""

from entrypoints.command import run
from entrypoints.show_census import show_census
from flare.config import DownloadConfig


def main(config: DownloadConfig) -> None:
    """Download, and print what has come and where it is."""
    from flare.workflows.download import run as download

    found = download(config)
    show_census(found.census)
    print("\n".join(found.lines()))


if __name__ == "__main__":
    run("download", DownloadConfig, main)
