"""Groups of parameters that several entry points share.

``flare.config`` combines them into one model per entry point.
"""

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from flare.goes import EVENTS

SYNTHETIC_DIR = Path("data/synthetic")

#: Default input of `predict`, and where it writes the forecasts of many samples by default.
PREDICT_EXAMPLE = Path("data/example")
PREDICT_OUTPUT = Path("outputs/predictions.csv")

#: The registered model; forests and networks are versions of it.
MODEL_NAME = "solar-flare"

#: Image sizes in pixels; the originals have 256 and are averaged down.
IMAGE_SIZES = (32, 64, 128, 256)

#: MLproject cannot omit a parameter: an empty text stands for None.
OptionalPath = Annotated[Path | None, BeforeValidator(lambda v: None if v == "" else v)]


def one_of(*choices: int) -> AfterValidator:
    """Return a validator of numbers that takes only these."""

    def check(value: int) -> int:
        if value not in choices:
            raise ValueError(f"choose one of {', '.join(map(str, choices))}")
        return value

    return AfterValidator(check)


def readable_by(parse: Callable[[str], object]) -> AfterValidator:
    """Return a validator of texts: ``parse`` raises ValueError if it cannot read one."""

    def check(text: str) -> str:
        parse(text)
        return text

    return AfterValidator(check)


ImageSize = Annotated[int, one_of(*IMAGE_SIZES)]


def _folds(value: int) -> int:
    if value == 1:
        raise ValueError("a single fold leaves nothing to fit on; use 2 or more, or 0 for none")
    return value


def sha256_text(value: str) -> str:
    """Check a SHA-256 of 64 digits and lower its case; an empty text stays empty."""
    digits = value.strip().lower()
    if digits and not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ValueError("write 64 hexadecimal digits, as sha256sum prints them")
    return digits


def shard_text(value: str) -> str:
    """Check a shard such as 3/16; an empty text stays empty."""
    if not value:
        return value
    part = re.fullmatch(r"0*(\d{1,6})/0*(\d{1,6})", value)
    if part is None or not 1 <= int(part[1]) <= int(part[2]):
        raise ValueError("write a number and how many shards there are, such as 3/16")
    return f"{part[1]}/{part[2]}"


def parse_base_rates(text: str) -> dict[str, float]:
    """Parse rates such as ``M1.0:0.2,C1.0:0.6``; an empty text gives none.

    Raises ValueError: an event is unknown or given twice, or a rate is not strictly between 0 and
    1.
    """
    rates: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        event, _, number = (piece.strip() for piece in part.partition(":"))
        if event not in EVENTS or event in rates or not re.fullmatch(r"0?\.\d+", number):
            raise ValueError(
                f"{part!r} is not a base rate; write an event ({', '.join(EVENTS)}) and its rate "
                "between 0 and 1, separated by commas, such as M1.0:0.2,C1.0:0.6"
            )
        rates[event] = float(number)
        if rates[event] == 0:
            raise ValueError(f"the base rate of {event} must be above 0")
    return rates


#: Parameters that do not change results. Runs log them as tags, so comparisons skip them.
NO_RESULT = frozenset(
    {"accelerator", "checkpoint_steps", "processes", "restart", "resume", "strategy"}
)


def text_of(value: object) -> str:
    """Return the text of a parameter in MLproject, on the command line and in MLflow.

    None is an empty text, and booleans are ``true`` and ``false``.
    """
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]

#: Scores that compare versions. The last two are of the flux, of no event, and lower is better.
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
    """Base of all configs: frozen, unknown names are refused, the environment is not read."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )

    def result_parameters(self, without: Collection[str] = ()) -> dict[str, object]:
        """Return the parameters that can change results, except ``without``."""
        return self.model_dump(exclude={*NO_RESULT, *without})

    def other_parameters(self) -> dict[str, object]:
        """Return the parameters that do not change results."""
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
        """Read the command line only: a SEED or MODEL in the shell must not change results."""
        return (init_settings,)


class ProcessesOption(EntryConfig):
    """The number of worker processes."""

    processes: Annotated[int, Field(ge=0, le=512)] = Field(
        0, description="worker processes that make or decode images; 0: one per core"
    )


class SynthesisOptions(ProcessesOption):
    """The synthetic active regions."""

    samples: Annotated[int, Field(ge=30, le=200_000)] = Field(
        640, description="total number of synthetic samples; SDOBenchmark has 9222"
    )
    test_share: Annotated[float, Field(ge=0.05, le=0.9)] = Field(
        0.3, description="share of the synthetic samples in the test split; 0.0961 in SDOBenchmark"
    )
    difficulty: Literal["easy", "medium", "hard"] = Field(
        "medium",
        description="how much the images show of the synthetic flare rates; see docs/synthetic.md",
    )
    test: Literal["as_observed", "selected"] = Field(
        "as_observed",
        description="synthetic test regions: as_observed, drawn like the training regions, so that "
        "scores measure skill; selected, by label as in SDOBenchmark, with three times the M1.0 "
        "rate of training",
    )
    data_seed: Seed = Field(0, description="seed of the synthetic regions")


class DatasetOptions(ProcessesOption):
    """The folder of the dataset."""

    data_dir: Path = Field(
        SYNTHETIC_DIR,
        description="dataset in SDOBenchmark's layout; data/synthetic is made if it is missing",
    )


class PackOptions(DatasetOptions):
    """The folders of the dataset and of its packed arrays."""

    pack_dir: OptionalPath = Field(
        None,
        description="folder of the packed set; empty: packed-SIZE in data_dir. A sample takes "
        "0.6 MB at 128 pixels, 2.6 MB at 256",
    )


class ImageOptions(PackOptions):
    """The images of a dataset."""

    image_size: ImageSize = Field(
        128, description="edge in pixels that images are averaged down to: 32, 64, 128 or 256"
    )


class ValidationOptions(EntryConfig):
    """The validation split."""

    validation_share: Share = Field(
        0.25, description="share of the training split's active regions used for validation"
    )
    split_seed: Seed = Field(0, description="seed of the validation split and of the folds")


class SplitConfig(ValidationOptions, ImageOptions):
    """The training data and their validation split."""


class ModelNameOption(EntryConfig):
    """The registered model."""

    model_name: Annotated[str, Field(min_length=1, pattern=r"^[^/:'\"]+$")] = Field(
        MODEL_NAME, description="name of the registered model"
    )


class BootstrapOptions(EntryConfig):
    """Bootstrap settings."""

    resamples: Annotated[int, Field(ge=100, le=100_000)] = Field(
        1000, description="bootstrap resamples over active regions for every interval"
    )


class BaseRatesOption(EntryConfig):
    """Event rates that probabilities are adjusted to."""

    base_rates: Annotated[str, readable_by(parse_base_rates)] = Field(
        "",
        description="event rates that the probabilities are adjusted to, such as M1.0:0.2; empty: "
        "those of the training regions",
    )

    @property
    def rates(self) -> dict[str, float]:
        """The rate of each event that one is given for."""
        return parse_base_rates(self.base_rates)


class SampleOptions(EntryConfig):
    """The one sample to forecast from."""

    input: Path = Field(
        PREDICT_EXAMPLE, description="one sample: its folder, or a .npy file of (40, 256, 256)"
    )
    scale: Literal["", "fraction", "level"] = Field(
        "",
        description="scale of floats in a .npy file: fraction, white is 1; level, white is 255; "
        "empty: inferred from the values",
    )


class ForestOptions(EntryConfig):
    """The random forest."""

    trees: Annotated[int, Field(ge=1, le=10_000)] = Field(300, description="trees in each forest")
    min_samples_leaf: Count = Field(3, description="minimum samples in a leaf")
    max_features: Annotated[float, Field(gt=0, le=1)] = Field(
        0.3, description="share of the features considered at each split of a tree"
    )


class FoldsOption(EntryConfig):
    """The cross-validation that postprocessing is fitted on."""

    folds: Annotated[int, Field(ge=0, le=20), AfterValidator(_folds)] = Field(
        3,
        description="cross-validation folds, grouped by active region, that calibration, "
        "thresholds and interval are fitted on; 0: fit them on validation, whose scores are then "
        "optimistic",
    )


class SeedOption(EntryConfig):
    """The training seed."""

    seed: Seed = Field(0, description="seed of weights, sample order, augmentation and trees")
