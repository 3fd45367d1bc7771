"""The settings of the server, read from environment variables that start with FLARE_."""

import re
import textwrap
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from flare.config.groups import MODEL_NAME
from flare.cores import usable_cores
from flare.errors import ConfigInvalid
from flare.sample import IMAGE_SIZE, N_PLANES
from flare.tracking.tags import PRODUCTION

ENV_PREFIX = "FLARE_"
MEBIBYTE = 2**20

#: One uint8 sample and room for the .npy header and the multipart envelope: a lower limit would
#: refuse every upload.
SMALLEST_UPLOAD_LIMIT = N_PLANES * IMAGE_SIZE**2 + 8192

RUN_ID = re.compile(r"[0-9a-f]{32}")
_MODEL_VERSION = re.compile(r"models:/(?:[^/@]+@[^/@]+|[^/@]+/\d+|m-[^/@]+)")
#: What a member of a setting with several must be, and what to write.
_LISTED = {
    "cors_origins": (
        re.compile(r"\*|https?://[^/]+"),
        "an origin; write https://host or https://host:port",
    ),
    "hosts": (
        re.compile(r"\*|(?:\*\.)?[0-9A-Za-z_-][0-9A-Za-z._-]*|\[[0-9A-Fa-f:.]+\]"),
        "a host; write host.example, without scheme or port",
    ),
}

Seconds = Annotated[float, Field(gt=0, le=3600)]
Name = Annotated[str, Field(min_length=1, pattern=r"^[^/@]*$")]
Listed = Annotated[tuple[str, ...], NoDecode]

#: Shorter keys can be guessed.
SHORTEST_API_KEY = 8


class Settings(BaseSettings):
    """The server's settings; ``poll_seconds`` is read from ``FLARE_POLL_SECONDS``, and so on."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True)

    model: str = Field(
        "",
        description="Model to serve: a `models:/` or `runs:/` address, a run id, or the folder "
        "of a saved forecaster. Only `models:/NAME@ALIAS` and a folder are followed. Empty: the "
        "alias FLARE_ALIAS of the registered model FLARE_MODEL_NAME.",
    )
    model_name: Name = Field(MODEL_NAME, description="Registered model whose versions are served.")
    alias: Name = Field(PRODUCTION, description="Alias of the version to serve.")
    tracking_uri: str | None = Field(
        None, description="Address of MLflow's registry; unset, MLflow's default."
    )
    poll_seconds: float = Field(
        5.0, ge=0.05, le=86_400, description="Seconds between two polls for a new version."
    )
    state_dir: Path = Field(
        Path("outputs/serving"),
        description="Folder of the history and of copies of the served versions, so that a "
        "start needs no registry.",
    )
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        description="Forecasts at once, one core each; the only request uses up to four cores. "
        "0: as many as this process may use.",
    )
    max_waiting: int = Field(
        32,
        ge=0,
        le=10_000,
        description="Single samples that may wait for a core; more get a 503. Of batches, twice "
        "FLARE_MAX_BATCH samples may wait or be computed.",
    )
    time_limit_seconds: Seconds = Field(
        30.0, description="Seconds that a request may wait and compute before a 503."
    )
    explain_seconds: Seconds = Field(
        10.0, description="Seconds that an explanation may wait and compute before a 503."
    )
    upload_seconds: Seconds = Field(
        60.0, description="Seconds that an upload may take before a 408."
    )
    upload_grace_seconds: Seconds = Field(
        10.0,
        description="Seconds within which an upload must reach FLARE_MIN_UPLOAD_RATE on "
        "average, again and again; else a 408.",
    )
    min_upload_rate: float = Field(
        16384.0, ge=0, description="Bytes per second of the slowest upload."
    )
    header_seconds: Seconds = Field(
        10.0, description="Seconds that the headers of a request may take before a 408."
    )
    max_buffered_bytes: int = Field(
        256 * MEBIBYTE,
        ge=SMALLEST_UPLOAD_LIMIT,
        description="Bytes of all uploads in memory, at least one of FLARE_MAX_UPLOAD_BYTES; "
        "more get a 503. One address may have half.",
    )
    grace_seconds: float = Field(
        20.0,
        ge=0,
        le=3600,
        description="Seconds that requests in progress may take after SIGTERM or Ctrl-C; a "
        "second signal ends them.",
    )
    max_upload_bytes: int = Field(
        64 * MEBIBYTE,
        ge=SMALLEST_UPLOAD_LIMIT,
        description="Largest request body in bytes, the form around the file included.",
    )
    max_batch: int = Field(
        64, ge=1, le=10_000, description="Largest number of samples in one POST /predict_batch."
    )
    history_rows: int = Field(
        10000,
        ge=0,
        le=10_000_000,
        description="Forecasts that are stored for GET /history; 0: none.",
    )
    api_key: SecretStr | None = Field(
        None,
        description="If set, forecasts, /model, /history and /metrics need it in the header "
        f"X-API-Key or as a bearer token; {SHORTEST_API_KEY} characters of printable ASCII or "
        "more. Several, separated by spaces or line breaks, are all accepted, so that one can "
        "replace another.",
    )
    cors_origins: Listed = Field(
        (),
        description="Pages of other origins that may call the server, separated by commas: "
        "https://a.example,https://b.example. None by default.",
    )
    hosts: Listed = Field(
        (),
        description="Names that the server answers for, separated by commas, without ports: "
        "flare.example,*.internal. A request with another Host gets a 400, except to /health "
        "and /ready. Empty: any name.",
    )
    access_log: bool = Field(
        True, description="Whether each request is a line in the log, on stderr."
    )
    log_format: Literal["json", "text"] = Field(
        "json", description="`json` for machines, or `text` for people."
    )

    @field_validator("model")
    @classmethod
    def _something_to_serve(cls, value: str) -> str:
        if value and not (":/" in value or RUN_ID.fullmatch(value) or Path(value).is_dir()):
            raise ValueError(
                "is neither a folder nor an address such as models:/NAME@Production, nor a run id"
            )
        if value.startswith("models:/") and not _MODEL_VERSION.fullmatch(value):
            raise ValueError(
                "does not say which version; write models:/NAME@ALIAS, models:/NAME/3 or "
                "models:/m-ID"
            )
        return value

    @field_validator("cors_origins", "hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(one.strip().rstrip("/") for one in value.split(",") if one.strip())

    @field_validator("cors_origins", "hosts")
    @classmethod
    def _is_listed(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        pattern, wanted = _LISTED[str(info.field_name)]
        for one in value:
            if not pattern.fullmatch(one):
                raise ValueError(f"{one} is not {wanted}")
        return value

    @field_validator("api_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        keys = value.get_secret_value().split() if value is not None else []
        for key in keys:
            if len(key) < SHORTEST_API_KEY:
                raise ValueError(f"has a key of fewer than {SHORTEST_API_KEY} characters")
            if not re.fullmatch(r"[!-~]+", key):
                raise ValueError(
                    "must consist of printable ASCII characters, which a header can carry"
                )
        return value if keys else None

    @property
    def api_keys(self) -> tuple[str, ...]:
        """The keys that are accepted; none where no key is needed."""
        return () if self.api_key is None else tuple(self.api_key.get_secret_value().split())

    @property
    def cores(self) -> int:
        """Number of forecasts that are computed at once."""
        return self.threads or usable_cores()


def read_settings(**given: Any) -> Settings:
    """Read the settings from the environment; those in ``given`` take precedence.

    Raises
    ------
    ConfigInvalid
        A value cannot be used; the message names every such variable in one line. Other variables
        that start with FLARE_ are ignored: other parts of the project use some.
    """
    try:
        return Settings(**given)
    except ValidationError as invalid:
        problems = []
        for error in invalid.errors(include_url=False):
            name = ".".join(map(str, error["loc"])).upper()
            # The line goes to a log: it does not show a key.
            value = "***" if "api_key" in error["loc"] else repr(error["input"])
            message = error["msg"].removeprefix("Value error, ")
            problems.append(f"{ENV_PREFIX}{name}={value}: {message}")
        raise ConfigInvalid("; ".join(problems)) from invalid


def variables() -> list[tuple[str, str, str]]:
    """Return variable, default and description of each setting, for ``--help`` and the docs."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "", ()) else str(field.default)
        if bool in (field.annotation, *get_args(field.annotation)):
            default = default.lower()
        rows.append((f"{ENV_PREFIX}{name.upper()}", default, field.description or ""))
    return rows


def settings_help() -> str:
    """Describe every environment variable, one below the other."""
    lines = ["environment variables (values here are the defaults):"]
    indent = " " * 6
    for name, default, description in variables():
        lines.append(f"  {name}={default}")
        lines += textwrap.wrap(description, 100, initial_indent=indent, subsequent_indent=indent)
    return "\n".join(lines)
