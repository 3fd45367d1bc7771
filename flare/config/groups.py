"""The parameters that entry points share, each once, with its bounds and its description.

``flare.config`` puts them together, one model per entry point.
"""

import re
from collections.abc import Collection
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


ImageSize = Annotated[int, AfterValidator(_image_size)]


def _folds(value: int) -> int:
    if value == 1:
        raise ValueError("one fold leaves nothing to fit on; choose 2 or more, or 0 for none")
    return value


def sha256_text(value: str) -> str:
    """Check and lower the 64 digits of a SHA-256; an empty text stays empty."""
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


#: Parameters that change no result: tags of a run, so that comparing runs shows what matters.
NO_RESULT = frozenset(
    {"accelerator", "checkpoint_steps", "processes", "restart", "resume", "strategy"}
)


def text_of(value: object) -> str:
    """Return a parameter as MLproject, the command line and MLflow have it.

    Nothing is an empty text, and truth is ``true`` or ``false``.
    """
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


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

    def result_parameters(self, without: Collection[str] = ()) -> dict[str, object]:
        """Return the parameters that change a result, but those ``without``."""
        return self.model_dump(exclude={*NO_RESULT, *without})

    def other_parameters(self) -> dict[str, object]:
        """Return the parameters that change no result."""
        return self.model_dump(include=set(NO_RESULT))

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


class Processes(EntryConfig):
    """How many processes work."""

    processes: Annotated[int, Field(ge=0, le=512)] = Field(
        0, description="processes that make or decode images; 0: one per core"
    )


class Synthesis(Processes):
    """Which synthetic regions to make."""

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
    test: Literal["as_observed", "selected"] = Field(
        "as_observed",
        description="test regions of a synthetic set: as they come, so that scores measure skill, "
        "or selected by their labels as SDOBenchmark's, with three times the M1.0 rate of training",
    )
    data_seed: Seed = Field(0, description="seed of the synthetic regions")


class DatasetOptions(Processes):
    """Where the dataset lies."""

    data_dir: Path = Field(
        SYNTHETIC_DIR,
        description="dataset in SDOBenchmark's layout; data/synthetic is made when missing",
    )


class Dataset(DatasetOptions):
    """Where dataset and pack lie."""

    pack_dir: OptionalPath = Field(
        None,
        description="where the packed set lies; empty: packed-SIZE inside data_dir. A sample takes "
        "0.6 MB at 128 pixels, 2.6 MB at 256",
    )


class Data(Dataset):
    """Which images of a dataset."""

    image_size: ImageSize = Field(
        128, description="pixels of an edge that images are averaged down to: 32, 64, 128 or 256"
    )


class Division(EntryConfig):
    """How the training regions are divided."""

    validation_share: Share = Field(
        0.25, description="share of the training regions kept for validation"
    )
    split_seed: Seed = Field(0, description="seed of the split by active region")


class SplitConfig(Division, Data):
    """Which data to learn from, and how the training regions are divided."""


class ModelNameOption(EntryConfig):
    """Which registered model."""

    model_name: Annotated[str, Field(min_length=1, pattern=r"^[^/:'\"]+$")] = Field(
        MODEL_NAME, description="registered model whose versions these are"
    )


class BootstrapOptions(EntryConfig):
    """How sure scores are."""

    resamples: Annotated[int, Field(ge=100, le=100_000)] = Field(
        1000, description="bootstrap resamples of active regions behind every interval"
    )


class BaseRates(EntryConfig):
    """To which event rates probabilities are moved."""

    base_rates: Annotated[str, AfterValidator(_base_rates)] = Field(
        "",
        description="event rates to which the probabilities are moved, such as M1.0:0.2; empty: "
        "those of the training regions",
    )


class Forest(EntryConfig):
    """The forest."""

    trees: Annotated[int, Field(ge=1, le=10_000)] = Field(300, description="trees in each forest")
    min_samples_leaf: Count = Field(3, description="smallest leaf, in samples")
    max_features: Annotated[float, Field(gt=0, le=1)] = Field(
        0.3, description="share of the features that a split may choose from"
    )


class Folds(EntryConfig):
    """How a forecaster is tuned."""

    folds: Annotated[int, Field(ge=0, le=20), AfterValidator(_folds)] = Field(
        3,
        description="folds of the training regions, grouped by region, behind calibration, "
        "thresholds and interval; 0: all on validation instead, whose scores then flatter",
    )


class SeedOption(EntryConfig):
    """The seed of training."""

    seed: Seed = Field(0, description="seed of weights, order, mirrors and trees")
