"""What the server can be told, all of it through environment variables that start with FLARE_."""

import re
import textwrap
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, SecretStr, ValidationError, field_validator
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
_ONE_MODEL = re.compile(r"models:/(?:[^/@]+@[^/@]+|[^/@]+/\d+|m-[^/@]+)")

_HOST = re.compile(r"\*|(?:\*\.)?[0-9A-Za-z_-][0-9A-Za-z._-]*|\[[0-9A-Fa-f:.]+\]")

#: Shorter keys are guessed.
SHORTEST_API_KEY = 8


class Settings(BaseSettings):
    """The server's settings; ``poll_seconds`` is read from ``FLARE_POLL_SECONDS``, and so on."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True)

    model: Annotated[
        str,
        Field(
            description="What is served: a `models:/` or `runs:/` address, a run id, or the folder "
            "of a saved forecaster. Only `models:/NAME@ALIAS` and a folder are followed. Empty: "
            "the alias of the registered model, FLARE_ALIAS of FLARE_MODEL_NAME."
        ),
    ] = ""
    model_name: Annotated[
        str,
        Field(
            min_length=1,
            pattern=r"^[^/@]*$",
            description="Registered model whose versions are served.",
        ),
    ] = MODEL_NAME
    alias: Annotated[
        str,
        Field(min_length=1, pattern=r"^[^/@]*$", description="Alias that marks what is served."),
    ] = PRODUCTION
    tracking_uri: Annotated[
        str | None, Field(description="MLflow's registry; unset, MLflow's own choice of it.")
    ] = None
    poll_seconds: Annotated[
        float,
        Field(ge=0.05, le=86_400, description="Seconds between two looks for a new version."),
    ] = 5.0
    state_dir: Annotated[
        Path,
        Field(
            description="Folder of the history and of the last good version, kept there so that "
            "a start does without the registry."
        ),
    ] = Path("outputs/serving")
    threads: Annotated[
        int,
        Field(
            ge=0,
            le=1024,
            description="Forecasts at once, one core each, and cores "
            "for one that is alone, up to four; 0: as many as this process may use.",
        ),
    ] = 0
    max_waiting: Annotated[
        int,
        Field(
            ge=0,
            le=10_000,
            description="Single samples that may wait for a core; more get a 503. Of batches it is "
            "twice FLARE_MAX_BATCH samples.",
        ),
    ] = 32
    time_limit_seconds: Annotated[
        float,
        Field(gt=0, le=3600, description="How long a request may wait and compute before a 503."),
    ] = 30.0
    upload_seconds: Annotated[
        float, Field(gt=0, le=3600, description="How long an upload may take before a 408.")
    ] = 60.0
    upload_grace_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=3600,
            description="Within each such time an upload has to advance by as many seconds of "
            "FLARE_MIN_UPLOAD_RATE, or gets a 408.",
        ),
    ] = 10.0
    min_upload_rate: Annotated[
        float, Field(ge=0, description="Bytes per second of the slowest upload.")
    ] = 16_384.0
    header_seconds: Annotated[
        float, Field(gt=0, le=3600, description="How long the headers of a request may take.")
    ] = 10.0
    max_buffered_bytes: Annotated[
        int,
        Field(
            ge=SMALLEST_UPLOAD_LIMIT,
            description="Uploads that may be in memory at once, at least one of "
            "FLARE_MAX_UPLOAD_BYTES; more get a 503. One address may have half.",
        ),
    ] = 256 * MEBIBYTE
    grace_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="How long after SIGTERM or Ctrl-C requests in progress may take; a second "
            "signal ends it.",
        ),
    ] = 20.0
    max_upload_bytes: Annotated[
        int,
        Field(ge=SMALLEST_UPLOAD_LIMIT, description="Largest request body, envelope included."),
    ] = 64 * MEBIBYTE
    max_batch: Annotated[
        int, Field(ge=1, le=10_000, description="Most samples in one POST /predict_batch.")
    ] = 64
    history_rows: Annotated[
        int, Field(ge=0, le=10_000_000, description="Forecasts that GET /history keeps; 0: none.")
    ] = 10_000
    api_key: Annotated[
        SecretStr | None,
        Field(
            description="If set, forecasts, /model, /history and /metrics need it in the header "
            f"X-API-Key or as a bearer token; {SHORTEST_API_KEY} characters of printable ASCII or "
            "more. Several, separated by spaces or line breaks, are all accepted, so that one can "
            "replace another."
        ),
    ] = None
    cors_origins: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(
            description="Pages of other origins that may call the server, separated by commas: "
            "https://a.example,https://b.example. None by default."
        ),
    ] = ()
    hosts: Annotated[
        tuple[str, ...],
        NoDecode,
        Field(
            description="Names that the server answers for, separated by commas, without ports: "
            "flare.example,*.internal. A request with another Host gets a 400, but for /health and "
            "/ready. Empty: any name."
        ),
    ] = ()
    access_log: Annotated[
        bool, Field(description="Whether each request is a line in the log, on stderr.")
    ] = True
    log_format: Annotated[
        Literal["json", "text"], Field(description="`json` for machines, or `text` for people.")
    ] = "json"

    @field_validator("model")
    @classmethod
    def _something_to_serve(cls, value: str) -> str:
        if value and not (":/" in value or RUN_ID.fullmatch(value) or Path(value).is_dir()):
            raise ValueError(
                "is neither a folder nor an address such as models:/NAME@Production, nor a run id"
            )
        if value.startswith("models:/") and not _ONE_MODEL.fullmatch(value):
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

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            scheme, _, host = one.partition("://")
            if one != "*" and (scheme not in ("http", "https") or not host or "/" in host):
                raise ValueError(f"{one} is no origin; write https://host or https://host:port")
        return value

    @field_validator("hosts")
    @classmethod
    def _host_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not _HOST.fullmatch(one):
                raise ValueError(f"{one} is not a host; write host.example, without scheme or port")
        return value

    @field_validator("api_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        keys = value.get_secret_value().split() if value is not None else []
        for key in keys:
            if len(key) < SHORTEST_API_KEY:
                raise ValueError(f"has a key of fewer than {SHORTEST_API_KEY} characters")
            if not re.fullmatch(r"[!-~]+", key):
                raise ValueError("has other characters than a header can carry: printable ASCII")
        return value if keys else None

    @property
    def api_keys(self) -> tuple[str, ...]:
        """The keys, each of which opens; none where all is open."""
        return () if self.api_key is None else tuple(self.api_key.get_secret_value().split())

    @property
    def cores(self) -> int:
        """How many forecasts are made at once."""
        return self.threads or usable_cores()


def read_settings(**given: Any) -> Settings:
    """Read the settings from the environment, now; those that are given take precedence.

    Raises
    ------
    ConfigInvalid
        A value cannot be used; the message names every such variable in one line. A variable that
        starts with FLARE_ and is none is left alone: other parts of the project have some.
    """
    try:
        return Settings(**given)
    except ValidationError as invalid:
        raise ConfigInvalid(
            "; ".join(
                f"{ENV_PREFIX}{_name(error)}={_shown(error)}: "
                f"{error['msg'].removeprefix('Value error, ')}"
                for error in invalid.errors(include_url=False)
            )
        ) from invalid


def described() -> list[tuple[str, str, str]]:
    """Return variable, default and description of each setting, for ``--help`` and the docs."""
    found = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "", ()) else str(field.default)
        if bool in (field.annotation, *get_args(field.annotation)):
            default = default.lower()
        found.append((f"{ENV_PREFIX}{name.upper()}", default, field.description or ""))
    return found


def settings_help() -> str:
    """Describe every environment variable, one below the other."""
    lines = ["environment variables (values here are the defaults):"]
    indent = " " * 6
    for name, default, description in described():
        lines.append(f"  {name}={default}")
        lines += textwrap.wrap(description, 100, initial_indent=indent, subsequent_indent=indent)
    return "\n".join(lines)


def _name(error: Any) -> str:
    return ".".join(map(str, error["loc"])).upper()


def _shown(error: Any) -> str:
    """Return the value that was refused, but no key: the line goes to a log."""
    return "***" if "api_key" in error["loc"] else repr(error["input"])
