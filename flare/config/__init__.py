"""The parameters of every entry point: one frozen pydantic model each.

The command line, its checks and help texts, and MLproject are generated from these classes. Every
parameter has a default; ``python -m entrypoints.NAME --help`` lists them. Paths are relative to
the project's root. ``flare.config.groups`` holds what several entry points share.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from flare.config.groups import (
    SYNTHETIC_DIR,
    BaseRatesOption,
    BootstrapOptions,
    DatasetOptions,
    EntryConfig,
    FoldsOption,
    ForestOptions,
    ImageOptions,
    ImageSize,
    ModelNameOption,
    OptionalPath,
    PackOptions,
    ProcessesOption,
    PromotionScore,
    SampleOptions,
    SeedOption,
    SplitConfig,
    SynthesisOptions,
    ValidationOptions,
    one_of,
    readable_by,
    sha256_text,
    shard_text,
)
from flare.config.network_groups import NetworkOptions, ResumeOption
from flare.config.search import SearchConfig
from flare.config.verify import VerifyConfig
from flare.forecast_facts import parse_time

#: Issue time of a nowcast of this minute.
NOW = "now"


class DownloadConfig(ProcessesOption):
    """Download SDOBenchmark or unpack an archive of it, verify and count it."""

    what: Literal["example", "full"] = Field(
        "example", description="example: a few hundred samples, 0.2 GB; full: 9222 samples, 4.1 GB"
    )
    source: Annotated[str, Field(min_length=1)] = Field(
        "github,kaggle",
        description="sources to try in turn, separated by commas: github, kaggle, http(s) "
        "addresses, archives on disk",
    )
    dest: Path = Field(Path("data/raw"), description="new folder for the dataset")
    sha256: Annotated[str, AfterValidator(sha256_text)] = Field(
        "", description="SHA-256 that the archive must have; empty: that of the first download"
    )
    keep_archive: bool = Field(False, description="keep the downloaded archive next to dest")
    attempts: Annotated[int, Field(ge=1, le=1000)] = Field(
        6, description="consecutive failures before the next source is tried"
    )
    timeout: Annotated[float, Field(gt=0, le=3600)] = Field(
        60.0, description="seconds without data after which a transfer is broken"
    )


class SynthesizeConfig(SynthesisOptions):
    """Make synthetic active regions in SDOBenchmark's layout."""

    data_dir: Path = Field(SYNTHETIC_DIR, description="new folder for the dataset")


class PackConfig(ImageOptions):
    """Decode the images of a dataset once, into memory-mapped arrays."""

    verify: bool = Field(
        False, description="read the whole pack again and compare it with its fingerprint"
    )


class InspectConfig(DatasetOptions):
    """Count and check the images of a dataset, and plot samples."""

    split: Literal["", "test", "training"] = Field(
        "", description="split of the plotted sample; empty: test if there is one, else training"
    )
    sample: str = Field(
        "", description="id of the sample to plot; empty: the strongest of the most complete ones"
    )
    compare_with: OptionalPath = Field(
        None, description="another dataset, whose images and grey levels are drawn for comparison"
    )
    output_dir: Path = Field(Path("outputs/inspection"), description="folder for the figures")


class AuditConfig(SplitConfig):
    """Check a dataset and its validation split for leaks; exit code 1 if there are any."""

    features: bool = Field(True, description="also check the values of this project's features")
    features_csv: OptionalPath = Field(
        None, description="CSV file of your own features, with a column id"
    )
    output_dir: Path = Field(Path("outputs/audit"), description="folder for the report")


class BaselineConfig(
    SeedOption, BootstrapOptions, ModelNameOption, ForestOptions, FoldsOption, SplitConfig
):
    """Fit a random forest on image statistics and magnetogram proxies, and register it."""


class TrainConfig(
    ResumeOption, BootstrapOptions, ModelNameOption, NetworkOptions, FoldsOption, SplitConfig
):
    """Train a network, and register it."""


class EnsembleConfig(
    BootstrapOptions, ModelNameOption, FoldsOption, ValidationOptions, PackOptions
):
    """Register the mean of several models as one model."""

    models: str = Field(
        "1,2", description="members, separated by commas: run ids, version numbers or aliases"
    )


class EvaluateConfig(BaseRatesOption, BootstrapOptions, ModelNameOption, PackOptions):
    """Score a model and reference forecasts on one split, with intervals, and audit the data."""

    model: str = Field(
        "", description="run id, version number, alias, models:/ URI or folder; empty: newest"
    )
    split: Literal["test", "training"] = Field("test", description="split to score")
    compare_to: str = Field(
        "", description="another model to score with it, with paired differences"
    )
    scale: Literal["raw", "noaa", "physical"] = Field(
        "raw", description="flux scale of the event thresholds; raw: the labels as published"
    )
    output_dir: Path = Field(Path("outputs/evaluation"), description="folder for the report")
    allow_overlap: bool = Field(
        False, description="score a model even on active regions that it was fitted on"
    )


class PromoteConfig(BootstrapOptions, ModelNameOption):
    """Move the alias Production to a version that is not worse, or back to the previous one."""

    version: Annotated[str, Field(pattern=r"^(best|latest|previous|history|[1-9]\d*)$")] = Field(
        "best",
        description="version number; best: highest validation score; latest: newest; previous: "
        "back to the previous one, without a comparison; history: print all promotions",
    )
    event: Literal["B1.0", "C1.0", "M1.0", "X1.0"] = Field(
        "M1.0", description="event whose validation scores are compared"
    )
    score: PromotionScore = Field(
        "brier_skill_score", description="validation score that must not be worse than Production's"
    )
    force: str = Field(
        "", description="reason to promote even a worse version; it is stored as a tag"
    )


class PredictConfig(SampleOptions, BaseRatesOption, ProcessesOption, ModelNameOption):
    """Forecast one sample, or every sample of a folder; an interrupted run is resumed."""

    data_dir: OptionalPath = Field(
        None,
        description="forecast many samples: a dataset, or a folder of sample folders, nested or "
        "not; empty: forecast input",
    )
    split: Literal["test", "training"] = Field("test", description="split of a dataset")
    issue_time: str = Field(
        "",
        description="when the forecast of a .npy file is issued, the end of its input window: ISO "
        "8601 with a zone; empty: unknown",
    )
    active_region: Annotated[int, Field(ge=0, le=99_999)] = Field(
        0, description="NOAA number of the sample; 0: that of its folder's name, else unknown"
    )
    model: str = Field(
        "Production", description="run id, version number, alias, models:/ URI or folder"
    )
    output: OptionalPath = Field(
        None,
        description="file ending in .csv, .json, .jsonl or .parquet; empty: "
        "outputs/predictions.csv where data_dir is given, else the terminal only",
    )
    restart: bool = Field(
        False, description="discard the forecasts of an interrupted run instead of resuming it"
    )
    shard: Annotated[str, AfterValidator(shard_text)] = Field(
        "",
        description="share of the samples to forecast, such as 3/16 in the third of 16 jobs; the "
        "same command without it merges what all have forecast; empty: everything",
    )


class ExplainConfig(SampleOptions, BaseRatesOption, ModelNameOption):
    """Show which images, places and features a forecast rests on."""

    model: str = Field(
        "Production", description="run id, version number, alias, models:/ URI or folder"
    )
    event: Literal["B1.0", "C1.0", "M1.0", "X1.0"] = Field(
        "M1.0", description="event whose probability is explained"
    )
    method: Literal["occlusion", "gradients"] = Field(
        "occlusion",
        description="occlusion: hide a part and forecast again, for every model; gradients: "
        "Integrated Gradients by pixel too, for one network, needs Captum",
    )
    grid: Annotated[int, one_of(2, 4, 8, 16)] = Field(
        8, description="places on an edge of the image that are hidden in turn: 2, 4, 8 or 16"
    )
    output_dir: Path = Field(Path("outputs/explanation"), description="folder for the figure")


def _nowcast_time(text: str) -> None:
    if text != NOW:
        try:
            parse_time(text, "time")
        except ValueError as error:
            raise ValueError(f"{error}; or write {NOW}") from error


class NowcastConfig(BaseRatesOption, ModelNameOption):
    """Forecast the numbered regions of the real Sun, now or at a time; needs the extra `sun`."""

    time: Annotated[str, readable_by(_nowcast_time)] = Field(
        NOW, description="issue time: now, or ISO 8601 with a zone; images after it are not used"
    )
    source: Annotated[str, Field(min_length=1)] = Field(
        "jsoc",
        description="jsoc: fetch from JSOC and SWPC; or a folder with solar_regions.json and FITS "
        "images",
    )
    model: str = Field(
        "Production", description="run id, version number, alias, models:/ URI or folder"
    )
    max_age: Annotated[float, Field(gt=0, le=720)] = Field(
        30.0,
        description="minutes before the issue time; if the newest image is older, there is no "
        "forecast",
    )
    output_dir: Path = Field(
        Path("outputs/nowcast"), description="folder for a new folder, named by the issue time"
    )


class ServeConfig(ModelNameOption):
    """Serve the Production version over HTTP, and follow promotions."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="port; 0: any free port")
    poll_seconds: Annotated[float, Field(ge=0.05, le=86_400)] = Field(
        5.0, description="seconds between checks of the registry"
    )
    workers: Annotated[int, Field(ge=1, le=256)] = Field(1, description="server processes")


class ResendConfig(EntryConfig):
    """Send unsynced runs on this disk to the tracking server, and register their models."""

    folder: OptionalPath = Field(
        None, description="folder of one run; empty: all unsynced runs below outputs/runs"
    )


class RelocateConfig(EntryConfig):
    """Record this folder as the place of the artifacts, after a project was copied or renamed."""


class MainConfig(
    ResumeOption,
    BootstrapOptions,
    ModelNameOption,
    NetworkOptions,
    ForestOptions,
    FoldsOption,
    SplitConfig,
    SynthesisOptions,
):
    """Run the whole job: synthesize, pack, baseline, train, evaluate, promote, one forecast.

    Its images are smaller and its epochs fewer than those of the stages alone: it is a
    demonstration on a small set, where more of either costs time and gains nothing.
    """

    image_size: ImageSize = Field(
        64, description="edge in pixels that images are averaged down to: 32, 64, 128 or 256"
    )
    epochs: Annotated[int, Field(ge=1, le=10_000)] = Field(
        8, description="passes over the training samples"
    )


#: Every entry point and its config; `mlflow run .` runs `main`.
ENTRY_POINTS: dict[str, type[EntryConfig]] = {
    "main": MainConfig,
    "download": DownloadConfig,
    "synthesize": SynthesizeConfig,
    "pack": PackConfig,
    "inspect": InspectConfig,
    "audit": AuditConfig,
    "baseline": BaselineConfig,
    "train": TrainConfig,
    "search": SearchConfig,
    "ensemble": EnsembleConfig,
    "evaluate": EvaluateConfig,
    "verify": VerifyConfig,
    "promote": PromoteConfig,
    "predict": PredictConfig,
    "explain": ExplainConfig,
    "nowcast": NowcastConfig,
    "serve": ServeConfig,
    "resend": ResendConfig,
    "relocate": RelocateConfig,
}
