"""What can be set: one frozen model per entry point, and nothing about it written anywhere else.

The command line, the checks, the help texts and MLproject are all made from these classes. Every
parameter has a default; ``python -m entrypoints.NAME --help`` lists them. Paths are relative to
the project's root.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from flare.goes import EVENTS

SYNTHETIC_DIR = Path("data/synthetic")

#: What `predict` forecasts where nothing is given, and where the forecasts of many samples go.
PREDICT_EXAMPLE = Path("data/example")
PREDICT_OUTPUT = Path("outputs/predictions.csv")

#: The registered model whose versions are forests and networks alike.
MODEL_NAME = "solar-flare"

#: To how many pixels the images of 256 can be averaged down.
IMAGE_SIZES = (32, 64, 128, 256)

#: MLproject cannot leave a parameter out: an empty text stands for "not given".
OptionalPath = Annotated[Path | None, BeforeValidator(lambda v: None if v == "" else v)]


def _image_size(value: int) -> int:
    if value not in IMAGE_SIZES:
        raise ValueError(f"choose one of {', '.join(map(str, IMAGE_SIZES))}")
    return value


def _folds(value: int) -> int:
    if value == 1:
        raise ValueError("one fold leaves nothing to fit on; choose 2 or more, or 0 for none")
    return value


def _sha256(value: str) -> str:
    digits = value.strip().lower()
    if digits and not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError("write 64 hexadecimal digits, as sha256sum prints them")
    return digits


def base_rates(text: str) -> dict[str, float]:
    """Read rates such as ``M1.0:0.2,C1.0:0.6``; nothing of an empty text.

    Raises
    ------
    ValueError
        An event is not one of ``EVENTS`` or stands twice, or a rate is not strictly inside 0..1.
    """
    rates: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        event, _, number = (piece.strip() for piece in part.partition(":"))
        if event not in EVENTS or event in rates or not re.fullmatch(r"0?\.\d+", number):
            raise ValueError(
                f"{part!r} is no base rate; write an event of {', '.join(EVENTS)} and its rate "
                "between 0 and 1, such as M1.0:0.2, with commas between"
            )
        rates[event] = float(number)
        if rates[event] == 0:
            raise ValueError(f"a base rate of 0 for {event} leaves nothing to forecast")
    return rates


def _base_rates(text: str) -> str:
    base_rates(text)
    return text


Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]

#: What versions can be compared by. The last two are of the flux, whatever the event, and best low.
PromotionScore = Literal[
    "brier_skill_score",
    "true_skill_statistic",
    "heidke_skill_score",
    "roc_area",
    "average_precision",
    "log10_flux_mae",
    "ranked_probability_score",
]


class EntryConfig(BaseSettings):
    """The base of all: frozen, unknown names refused, nothing taken from the environment."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Look at the command line alone: a stray SEED or MODEL in the shell changes no result."""
        return (init_settings,)


class _Processes(EntryConfig):
    processes: Annotated[int, Field(ge=0, le=512)] = Field(
        0, description="processes that make or decode images; 0: one per core"
    )


class _Synthesis(_Processes):
    samples: Annotated[int, Field(ge=30, le=200_000)] = Field(
        640, description="synthetic samples in all; SDOBenchmark has 9222"
    )
    test_share: Annotated[float, Field(ge=0.05, le=0.9)] = Field(
        0.3, description="share of the synthetic samples in the test split; SDOBenchmark's 0.0961"
    )
    difficulty: Literal["easy", "medium", "hard"] = Field(
        "medium",
        description="how much of the synthetic flare rates the images show; docs/synthetic.md",
    )
    data_seed: Seed = Field(0, description="seed of the synthetic regions")


class _Located(_Processes):
    data_dir: Path = Field(
        SYNTHETIC_DIR,
        description="dataset in SDOBenchmark's layout; data/synthetic is made when missing",
    )


class _Dataset(_Located):
    pack_dir: OptionalPath = Field(
        None, description="where the packed set lies; empty: packed-SIZE inside data_dir"
    )


class _Data(_Dataset):
    image_size: Annotated[int, AfterValidator(_image_size)] = Field(
        128, description="pixels of an edge that images are averaged down to: 32, 64, 128 or 256"
    )


class SplitConfig(_Data):
    """Which data to learn from, and how the training regions are divided."""

    validation_share: Share = Field(
        0.25, description="share of the training regions kept for validation"
    )
    split_seed: Seed = Field(0, description="seed of the split by active region")


class _Named(EntryConfig):
    model_name: Annotated[str, Field(min_length=1, pattern=r"^[^/:'\"]+$")] = Field(
        MODEL_NAME, description="registered model whose versions these are"
    )


class _Scored(EntryConfig):
    resamples: Annotated[int, Field(ge=100, le=100_000)] = Field(
        1000, description="bootstrap resamples of active regions behind every interval"
    )


class _BaseRates(EntryConfig):
    base_rates: Annotated[str, AfterValidator(_base_rates)] = Field(
        "",
        description="event rates to which the probabilities are moved, such as M1.0:0.2; empty: "
        "those of the training regions",
    )


class _Forest(EntryConfig):
    trees: Annotated[int, Field(ge=1, le=10_000)] = Field(300, description="trees in each forest")
    min_samples_leaf: Count = Field(3, description="smallest leaf, in samples")
    max_features: Annotated[float, Field(gt=0, le=1)] = Field(
        0.3, description="share of the features that a split may choose from"
    )


class _Network(EntryConfig):
    architecture: Literal["cnn"] = Field("cnn", description="network, by its name in flare.models")
    epochs: Annotated[int, Field(ge=1, le=10_000)] = Field(
        15, description="passes over the training regions"
    )
    batch_size: Annotated[int, Field(ge=2, le=4096)] = Field(16, description="samples in a batch")
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        2e-3, description="highest learning rate of AdamW, at the end of the warm-up"
    )
    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01, description="weight decay of AdamW"
    )
    event_weight: Annotated[float, Field(ge=0, le=1000)] = Field(
        1.0, description="dex of flux error that one nat of cross-entropy is worth"
    )
    width: Annotated[int, Field(ge=1, le=512)] = Field(
        16, description="feature maps of the first block"
    )
    hidden: Annotated[int, Field(ge=1, le=4096)] = Field(
        64, description="units of the layer that both heads share"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.2, description="share of the shared layer dropped in training"
    )
    mirror: bool = Field(True, description="flip training images as the Sun's symmetry allows")
    patience: Count = Field(
        8, description="epochs without a lower validation loss before training stops"
    )
    accelerator: Literal["auto", "cpu", "gpu"] = Field("auto", description="where to train")


class _Folds(EntryConfig):
    folds: Annotated[int, Field(ge=0, le=20), AfterValidator(_folds)] = Field(
        3,
        description="folds of the training regions, grouped by region, behind calibration, "
        "thresholds and interval; 0: all on validation instead, whose scores then flatter",
    )


class _Seeded(EntryConfig):
    seed: Seed = Field(0, description="seed of weights, order, mirrors and trees")


class DownloadConfig(_Processes):
    """Download SDOBenchmark, or take an archive of it; unpack, check and count it."""

    what: Literal["example", "full"] = Field(
        "example", description="example: a few hundred samples, some 0.2 GB; full: 9,222, 4.1 GB"
    )
    source: Annotated[str, Field(min_length=1)] = Field(
        "github,kaggle",
        description="github, kaggle, http(s) addresses or archives on disk, tried in turn; "
        "with commas between",
    )
    dest: Path = Field(Path("data/raw"), description="new folder for the dataset")
    sha256: Annotated[str, AfterValidator(_sha256)] = Field(
        "", description="SHA-256 that the archive must have; empty: as the first time"
    )
    keep_archive: bool = Field(False, description="keep the downloaded archive beside dest")
    attempts: Annotated[int, Field(ge=1, le=1000)] = Field(
        6, description="failures in a row after which the next source is tried"
    )
    timeout: Annotated[float, Field(gt=0, le=3600)] = Field(
        60.0, description="seconds without a byte after which a transfer counts as broken"
    )


class SynthesizeConfig(_Synthesis):
    """Make synthetic active regions in SDOBenchmark's layout."""

    data_dir: Path = Field(SYNTHETIC_DIR, description="new folder for the dataset")


class PackConfig(_Data):
    """Decode a dataset's images once, into memory-mapped arrays."""

    verify: bool = Field(
        False, description="read every byte of the pack again, and compare it with its fingerprint"
    )


class InspectConfig(_Located):
    """Count every image of a dataset, check it, and draw what it holds."""

    split: Literal["", "test", "training"] = Field(
        "", description="split to take the sample from; empty: test, if there is one"
    )
    sample: str = Field(
        "", description="id of the sample to draw; empty: the strongest of the most complete"
    )
    beside: OptionalPath = Field(
        None, description="another dataset, whose images and grey levels are drawn beside this one"
    )
    output_dir: Path = Field(Path("outputs/inspection"), description="folder for the figures")


class AuditConfig(SplitConfig):
    """Look for leaks in a dataset and in the division that training makes; 1 if there are any."""

    features: bool = Field(True, description="look at the values of this project's features too")
    features_csv: OptionalPath = Field(None, description="your own features, with a column id")
    output_dir: Path = Field(Path("outputs/audit"), description="folder for the report")


class BaselineConfig(_Seeded, _Scored, _Named, _Forest, _Folds, SplitConfig):
    """Fit the random forest on image statistics and magnetogram proxies, and register it."""


class TrainConfig(_Seeded, _Scored, _Named, _Network, _Folds, SplitConfig):
    """Train the multitask CNN, and register it."""


class SearchConfig(_Seeded, _Named, SplitConfig):
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


class EvaluateConfig(_BaseRates, _Scored, _Named, _Dataset):
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


class PromoteConfig(_Scored, _Named):
    """Move the alias Production to a version that is not worse, or back to the one before."""

    version: Annotated[str, Field(pattern=r"^(best|latest|previous|[1-9]\d*)$")] = Field(
        "best",
        description="a number; best: highest validation score; latest: newest; "
        "previous: back to the one before, without a comparison",
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


class PredictConfig(_BaseRates, _Processes, _Named):
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


class ServeConfig(_Named):
    """Serve the Production version over HTTP, and follow it."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="port; 0: any free one")
    poll_seconds: Annotated[float, Field(ge=0.05, le=86_400)] = Field(
        5.0, description="seconds between looks at the registry"
    )


class MainConfig(_Seeded, _Scored, _Named, _Network, _Forest, _Folds, SplitConfig, _Synthesis):
    """The whole job: synthesize, pack, baseline, train, evaluate, promote, one forecast."""


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
    "evaluate": EvaluateConfig,
    "promote": PromoteConfig,
    "predict": PredictConfig,
    "serve": ServeConfig,
}
