"""What can be set: one frozen model per entry point, and nothing about it written anywhere else.

The command line, the checks, the help texts and MLproject are all made from these classes. Every
parameter has a default; ``python -m entrypoints.NAME --help`` lists them. Paths are relative to
the project's root. What several entry points share stands in ``flare.config.groups``.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from flare.config.groups import (
    PREDICT_EXAMPLE,
    SYNTHETIC_DIR,
    BaseRates,
    BootstrapOptions,
    Data,
    Dataset,
    DatasetOptions,
    Division,
    EntryConfig,
    Folds,
    Forest,
    ImageSize,
    ModelNameOption,
    OptionalPath,
    Processes,
    PromotionScore,
    SeedOption,
    SplitConfig,
    Synthesis,
    sha256_text,
)
from flare.config.network_groups import NetworkOptions, Resumable


class DownloadConfig(Processes):
    """Download SDOBenchmark, or take an archive of it; unpack, check and count it."""

    what: Literal["example", "full"] = Field(
        "example", description="example: a few hundred samples, some 0.2 GB; full: 9,222, 4.1 GB"
    )
    source: Annotated[str, Field(min_length=1)] = Field(
        "github,kaggle",
        description="github, kaggle, http(s) addresses or archives on disk, tried in turn, "
        "separated by commas",
    )
    dest: Path = Field(Path("data/raw"), description="new folder for the dataset")
    sha256: Annotated[str, AfterValidator(sha256_text)] = Field(
        "", description="SHA-256 that the archive must have; empty: that of the first download"
    )
    keep_archive: bool = Field(False, description="keep the downloaded archive next to dest")
    attempts: Annotated[int, Field(ge=1, le=1000)] = Field(
        6, description="failures in a row after which the next source is tried"
    )
    timeout: Annotated[float, Field(gt=0, le=3600)] = Field(
        60.0, description="seconds without a byte after which a transfer counts as broken"
    )


class SynthesizeConfig(Synthesis):
    """Make synthetic active regions in SDOBenchmark's layout."""

    data_dir: Path = Field(SYNTHETIC_DIR, description="new folder for the dataset")


class PackConfig(Data):
    """Decode a dataset's images once, into memory-mapped arrays."""

    verify: bool = Field(
        False, description="read every byte of the pack again, and compare it with its fingerprint"
    )


class InspectConfig(DatasetOptions):
    """Count every image of a dataset, check it, and draw what it holds."""

    split: Literal["", "test", "training"] = Field(
        "", description="split of the sample; empty: test, if there is one"
    )
    sample: str = Field(
        "", description="id of the sample to draw; empty: the strongest of the most complete ones"
    )
    compare_with: OptionalPath = Field(
        None, description="another dataset, whose images and grey levels are drawn for comparison"
    )
    output_dir: Path = Field(Path("outputs/inspection"), description="folder for the figures")


class AuditConfig(SplitConfig):
    """Check a dataset and the split that training makes for leaks; exit code 1 if there are any."""

    features: bool = Field(True, description="check the values of this project's features too")
    features_csv: OptionalPath = Field(None, description="your own features, with a column id")
    output_dir: Path = Field(Path("outputs/audit"), description="folder for the report")


class BaselineConfig(SeedOption, BootstrapOptions, ModelNameOption, Forest, Folds, SplitConfig):
    """Fit the random forest on image statistics and magnetogram proxies, and register it."""


class TrainConfig(
    Resumable, SeedOption, BootstrapOptions, ModelNameOption, NetworkOptions, Folds, SplitConfig
):
    """Train the multitask CNN, and register it."""


class SearchConfig(SeedOption, ModelNameOption, SplitConfig):
    """Search hyperparameters of the forest and the CNN with Optuna; each trial is a child run."""

    family: Literal["forest", "cnn", "both"] = Field("both", description="what to search over")
    trials: Annotated[int, Field(ge=1, le=100_000)] = Field(12, description="trials to add")
    epochs: Annotated[int, Field(ge=1, le=10_000)] = Field(6, description="epochs of a CNN trial")
    study_name: Annotated[str, Field(min_length=1)] = Field(
        "flare", description="an existing study of this name is continued"
    )
    study_file: Path = Field(
        Path("outputs/search.journal"), description="journal file that the study is kept in"
    )


class EnsembleConfig(BootstrapOptions, ModelNameOption, Folds, Division, Dataset):
    """Register several models as one, whose forecasts are the mean of theirs."""

    models: str = Field(
        "1,2", description="run ids, version numbers or aliases of the members, commas between"
    )


class EvaluateConfig(BaseRates, BootstrapOptions, ModelNameOption, Dataset):
    """Score a model beside its rivals on one split, with intervals, and audit the data."""

    model: str = Field(
        "", description="run id, version number, alias, models:/ URI or folder; empty: newest"
    )
    split: Literal["test", "training"] = Field("test", description="split to score")
    compare_to: str = Field(
        "", description="another model, to be scored beside it with paired differences"
    )
    scale: Literal["raw", "noaa", "physical"] = Field(
        "raw", description="label scale on which events are meant; raw: the dataset's, as published"
    )
    output_dir: Path = Field(Path("outputs/evaluation"), description="folder for the report")
    allow_overlap: bool = Field(
        False, description="score a model even on active regions that it was fitted on"
    )


class PromoteConfig(BootstrapOptions, ModelNameOption):
    """Move the alias Production to a version that is not worse, or back to the one before."""

    version: Annotated[str, Field(pattern=r"^(best|latest|previous|history|[1-9]\d*)$")] = Field(
        "best",
        description="a number; best: highest validation score; latest: newest; "
        "previous: back to the one before, without a comparison; history: print all promotions",
    )
    event: Literal["B1.0", "C1.0", "M1.0", "X1.0"] = Field(
        "M1.0", description="event whose validation score is compared"
    )
    score: PromotionScore = Field(
        "brier_skill_score", description="validation score that must not be worse than Production's"
    )
    force: str = Field(
        "", description="promote even a worse version, for this reason; it is kept as a tag"
    )


class PredictConfig(BaseRates, Processes, ModelNameOption):
    """Forecast one sample, or every sample of a folder; what was interrupted is continued."""

    data_dir: OptionalPath = Field(
        None,
        description="many samples: a dataset, or a folder of sample folders, nested or not; "
        "empty: input",
    )
    split: Literal["test", "training"] = Field("test", description="split of a dataset")
    input: Path = Field(
        PREDICT_EXAMPLE, description="one sample: its folder, or a .npy of (40, 256, 256)"
    )
    scale: Literal["", "fraction", "level"] = Field(
        "",
        description="floats of a .npy: fraction where 1 is white, level where 255 is; empty: the "
        "values decide",
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
        False, description="discard what an interrupted run has kept, instead of continuing it"
    )


class ServeConfig(ModelNameOption):
    """Serve the Production version over HTTP, and follow it."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="port; 0: any free one")
    poll_seconds: Annotated[float, Field(ge=0.05, le=86_400)] = Field(
        5.0, description="seconds between looks at the registry"
    )
    workers: Annotated[int, Field(ge=1, le=256)] = Field(1, description="server processes")


class ResendConfig(EntryConfig):
    """Send what the tracking server missed of runs on this disk, and register their models."""

    folder: OptionalPath = Field(
        None, description="folder of one run; empty: all below outputs/runs that lack something"
    )


class RelocateConfig(EntryConfig):
    """Record this folder for the artifacts of a project that was copied or renamed."""


class MainConfig(
    Resumable,
    SeedOption,
    BootstrapOptions,
    ModelNameOption,
    NetworkOptions,
    Forest,
    Folds,
    SplitConfig,
    Synthesis,
):
    """The whole job: synthesize, pack, baseline, train, evaluate, promote, one forecast.

    Its images are smaller and its epochs fewer than those of the stages alone: it is a
    demonstration on a small set, where more of either costs time and gains nothing.
    """

    image_size: ImageSize = Field(
        64, description="pixels of an edge that images are averaged down to: 32, 64, 128 or 256"
    )
    epochs: Annotated[int, Field(ge=1, le=10_000)] = Field(
        8, description="passes over the training regions"
    )


#: Every entry point and its config; `main` is what `mlflow run .` runs.
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
    "promote": PromoteConfig,
    "predict": PredictConfig,
    "serve": ServeConfig,
    "resend": ResendConfig,
    "relocate": RelocateConfig,
}
