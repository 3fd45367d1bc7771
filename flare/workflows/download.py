"""Entry point ``download``: SDOBenchmark from its mirrors, unpacked, counted and written down."""

from flare.config import DownloadConfig
from flare.datasets.download.dataset import Demand, Downloaded, download
from flare.datasets.download.patience import Patience
from flare.datasets.download.sources import mirrors_of
from flare.files import check_folder
from flare.plots.census import census_figure
from flare.plots.style import mark_synthetic
from flare.progress import counter
from flare.tracking.runs import start
from flare.workflows.census_log import log_census


def run(config: DownloadConfig) -> Downloaded:
    """Put the dataset in its place or verify the one there, and log what it holds."""
    mirrors = mirrors_of(config.what, config.source)
    check_folder(config.dest.absolute().parent, "dest")
    with start("download", name=f"download {config.what} to {config.dest.name}") as tracked:
        tracked.log_config(config)
        found = download(
            Demand(
                what=config.what,
                dest=config.dest,
                mirrors=mirrors,
                sha256=config.sha256,
                keep_archive=config.keep_archive,
                processes=config.processes or None,
                patience=Patience(config.attempts, read_s=config.timeout),
                stage=counter,
            )
        )
        log_census(tracked, found.census, found.folder)
        tracked.log_file(found.folder / "dataset.json")
        figure = census_figure(found.census.splits)
        tracked.log_figure(
            mark_synthetic(figure) if found.census.synthetic else figure, "figures/census.png"
        )
    return found
