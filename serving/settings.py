"""What the server can be told, all of it through environment variables that start with FLARE_."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from flare.errors import ConfigInvalid
from flare.parameters import MODEL_NAME
from flare.sample import IMAGE_SIZE, N_PLANES
from flare.tracking.names import PRODUCTION

ENV_PREFIX = "FLARE_"
MEBIBYTE = 2**20

#: One uint8 sample and room for the .npy header and the multipart envelope: a lower limit would
#: refuse every upload.
SMALLEST_UPLOAD_LIMIT = N_PLANES * IMAGE_SIZE**2 + 8192


def _existing_folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError("is not a folder; save a forecaster there first, or unset it")
    return path


class Settings(BaseSettings):
    """The server's settings; ``poll_seconds`` is read from ``FLARE_POLL_SECONDS``, and so on."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True)

    model_name: Annotated[
        str, Field(min_length=1, description="Registered model whose versions are served.")
    ] = MODEL_NAME
    alias: Annotated[
        str, Field(min_length=1, description="Alias that marks the version to serve.")
    ] = PRODUCTION
    tracking_uri: Annotated[
        str | None, Field(description="MLflow's registry; unset, MLflow's own choice of it.")
    ] = None
    model_folder: Annotated[
        Path | None,
        AfterValidator(lambda path: path if path is None else _existing_folder(path)),
        Field(description="Serve this forecaster folder and ask no registry."),
    ] = None
    poll_seconds: Annotated[
        float,
        Field(ge=0.05, le=86_400, description="Seconds between two looks for a new version."),
    ] = 5.0
    max_upload_bytes: Annotated[
        int,
        Field(ge=SMALLEST_UPLOAD_LIMIT, description="Largest request body, envelope included."),
    ] = 64 * MEBIBYTE


def read_settings(**given: Any) -> Settings:
    """Read the settings from the environment, now; those that are given take precedence.

    Raises
    ------
    ConfigInvalid
        A value cannot be used; the message names every such variable in one line.
    """
    try:
        return Settings(**given)
    except ValidationError as invalid:
        found = [
            f"{ENV_PREFIX}{'.'.join(map(str, error['loc'])).upper()}={error['input']!r}: "
            f"{error['msg']}"
            for error in invalid.errors(include_url=False)
        ]
        raise ConfigInvalid("; ".join(found)) from invalid
