"""Get SDOBenchmark: `mlflow run . -e download -P what=full -P dest=data/raw`."""

from typing import TYPE_CHECKING

from entrypoints.command import run
from entrypoints.show_dataset import show_census
from flare.config import DownloadConfig

if TYPE_CHECKING:
    from flare.datasets.download.dataset import Downloaded


def main(config: DownloadConfig) -> None:
    """Download, and print the census, the folder and the next command."""
    from flare.workflows.data.download import run as download

    downloaded = download(config)
    show_census(downloaded.census)
    show_downloaded(downloaded)


def show_downloaded(downloaded: "Downloaded") -> None:
    """Print where the dataset is, where it came from, and what to do next."""
    from flare.files import size_text

    record = downloaded.record
    origin = "from" if downloaded.fresh else "was here already and is unchanged; it came from"
    print(f"{downloaded.folder}: {record.name} {origin} {record.source}")
    print(f"archive of {size_text(record.bytes)}, SHA-256 {record.sha256}")
    if downloaded.archive is not None:
        print(f"the archive stays as {downloaded.archive}; pass it as source= to use it again")
    if record.synthetic:
        print("its regions have the numbers of synthetic ones, so it is called SYNTHETIC")
    elif record.name == "sdobenchmark-full" and not downloaded.census.matches_published:
        print(
            "CAUTION: what=full, but samples, regions or classes are not the published ones "
            "(first table above)"
        )
    print(f"next: mlflow run . -e pack -P data_dir={downloaded.folder}")


if __name__ == "__main__":
    run("download", DownloadConfig, main)
