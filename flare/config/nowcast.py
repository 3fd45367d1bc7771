"""The parameters of a forecast of today's regions."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from flare.config.groups import BaseRatesOption, ModelNameOption

NOW = "now"


def _time(text: str) -> str:
    if text != NOW:
        try:
            zone = datetime.fromisoformat(text).tzinfo
        except ValueError as error:
            raise ValueError(f"write {NOW}, or such as 2026-11-30T06:00Z") from error
        if zone is None:
            raise ValueError("the time has no zone; write such as 2026-11-30T06:00Z")
    return text


class NowcastConfig(BaseRatesOption, ModelNameOption):
    """Forecast the numbered regions of the real Sun, now or at a time; needs the extra `sun`."""

    time: Annotated[str, AfterValidator(_time)] = Field(
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
