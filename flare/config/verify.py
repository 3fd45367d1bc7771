"""The parameters of a verification of forecasts from files."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from flare.config.groups import ModelNameOption, OptionalPath, Seed, Share, readable_by
from flare.forecast_facts import parse_time


def column_names(text: str) -> dict[str, str]:
    """Parse a mapping such as ``time=DATE,p_M1.0=M1+``; an empty text gives none.

    Raises ValueError: a part is not NAME=COLUMN, or a name is given twice.
    """
    names: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not (name and equals and column) or name in names:
            raise ValueError(
                f"{part!r} is not NAME=COLUMN with a new name; write such as "
                "time=VALID_DATE,p_M1.0=M1+(0-24hr)"
            )
        names[name] = column
    return names


def hours(text: str) -> float:
    """Return the hours of a duration such as ``24h``, ``2d`` or ``30min``; without a unit, hours.

    Raises ValueError: the text is not a duration.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(h|d|min)?", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write such as 24h, 2d or 30min")
    return float(match[1]) * {"h": 1.0, "d": 24.0, "min": 1 / 60}[match[2] or "h"]


def _window(text: str) -> str:
    if hours(text) == 0:
        raise ValueError("the window must be longer than 0")
    return text


def _time(text: str) -> str:
    return parse_time(text, "the time").isoformat() if text else ""


Columns = Annotated[str, readable_by(column_names)]
Time = Annotated[str, AfterValidator(_time)]


class VerifyConfig(ModelNameOption):
    """Score forecasts of any origin, or those of a server, against flares or other outcomes."""

    forecasts: str = Field(
        "", description="tables of forecasts: .csv, .parquet, .json, .jsonl, .txt or a server's "
        "history.sqlite, separated by commas"
    )  # fmt: skip
    model: str = Field(
        "",
        description="version number, alias or run id of the version whose forecasts are scored: "
        "those in history, or forecasts where given; the scores are logged to it. Empty: none",
    )
    history: Path = Field(
        Path("outputs/serving"),
        description="where the forecasts of the server are, for model=: its FLARE_STATE_DIR, the "
        "history.sqlite in it, or a saved GET /history.csv",
    )
    since: Time = Field(
        "", description="only windows that begin at or after it: ISO 8601 with a zone; empty: all"
    )
    until: Time = Field(
        "", description="only windows that end at or before it: ISO 8601 with a zone; empty: all"
    )
    events: OptionalPath = Field(
        None, description="flare list: peak time, class, region; empty: the forecasts have outcomes"
    )
    columns: Columns = Field(
        "",
        description="columns of the forecasts, such as time=DATE,p_M1.0=M1+,region=AR; empty: those"
        " of this project. See docs/verify.md",
    )
    event_columns: Columns = Field(
        "", description="columns of the flare list: peak=, class=, and optionally region=, start="
    )
    time_zone: Literal["", "UTC"] = Field(
        "", description="UTC: times without a zone are UTC; empty: they are refused"
    )
    window: Annotated[str, AfterValidator(_window)] = Field(
        "24h", description="length of the forecast window"
    )
    latency: Annotated[str, readable_by(hours)] = Field(
        "0h", description="from the time of a forecast to the beginning of its window"
    )
    by: Literal["auto", "disk", "region"] = Field(
        "auto",
        description="full disk or single regions; auto: regions where forecasts name them",
    )
    methods: str = Field("", description="only these methods, separated by commas; empty: all")
    units: Literal["fraction", "percent"] = Field("fraction", description="of probabilities")
    negative: Literal["refuse", "missing"] = Field(
        "refuse",
        description="negative numbers in place of a probability, other than -1, which means that "
        "there is no forecast: refuse them, or missing, they mean the same",
    )
    missing: Literal["drop", "climatology", "common"] = Field(
        "drop",
        description="drop: each method is scored where it has forecasts; climatology: its gaps "
        "count as climatology; common: only where all methods have forecasts",
    )
    duplicates: Literal["refuse", "last"] = Field(
        "refuse",
        description="several forecasts of one method for the same time and region: refuse them, "
        "or last, the last one in the table counts",
    )
    overlap: Literal["refuse", "keep"] = Field(
        "refuse", description="forecasts of one method whose windows overlap"
    )
    events_from: str = Field(
        "", description="time from which the list is complete; empty: its first"
    )
    events_until: str = Field("", description="time until which it is complete; empty: its last")
    scale: Literal["listed", "science", "operational"] = Field(
        "listed",
        description="class scale: listed; science: classes listed before 2020 divided by 0.7; "
        "operational: re-calibrated classes multiplied by 0.7",
    )
    laplace: bool = Field(
        False,
        description="reliability in bins by Laplace's rule, (events + 1) / (forecasts + 2)",
    )
    climatology_days: Annotated[int, Field(ge=1, le=20_000)] = Field(
        120, description="days before each forecast whose event rate is climatology"
    )
    threshold: Share = Field(
        0.5, description="probability at and above which an event counts as forecast"
    )
    bootstrap: Literal["time", "region"] = Field(
        "time", description="what is resampled for intervals: blocks of time, or active regions"
    )
    block_days: Annotated[float, Field(gt=0, le=4000)] = Field(
        27.0, description="length of the blocks of time: a solar rotation"
    )
    resamples: Annotated[int, Field(ge=100, le=100_000)] = Field(
        1000, description="bootstrap resamples for every interval"
    )
    seed: Seed = Field(0, description="seed of the bootstrap")
    output_dir: Path = Field(Path("outputs/verification"), description="folder for the report")
