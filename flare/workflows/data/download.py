"""Entry point ``download``: get SDOBenchmark from a mirror, unpack it, count it, log the counts."""

from flare.config import DownloadConfig
from flare.datasets.download.dataset import Downloaded, download
from flare.datasets.download.sources import mirrors_of
from flare.files import check_folder
from flare.plots.census import census_figure
from flare.plots.style import mark_synthetic
from flare.tracking.runs import start
from flare.workflows.data.inspect import log_census


def run(config: DownloadConfig) -> Downloaded:
    """Download the dataset, or verify the one that is there, and log what it holds."""
    mirrors = mirrors_of(config.what, config.source)
    check_folder(config.dest.absolute().parent, "dest")
    with start("download", name=f"download {config.what} to {config.dest.name}") as tracked:
        tracked.log_config(config)
        downloaded = download(config, mirrors)
        census = downloaded.census
        log_census(tracked, census, downloaded.folder)
        tracked.log_file(downloaded.folder / "dataset.json")
        figure = census_figure(census.splits)
        tracked.log_figure(
            mark_synthetic(figure) if census.synthetic else figure, "figures/census.png"
        )
    return downloaded
