"""Tables of forecasts: rows with the fields of the public answer, as CSV, JSON or Parquet."""

import io
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pandas as pd

from flare.errors import ConfigInvalid
from flare.files import check_folder, write_atomically
from flare.forecast_facts import (
    SampleFacts,
    Window,
    forecast_id_of,
    images_text,
    now,
    utc_text,
)
from flare.forecasters.answer import Answer, answers
from flare.forecasters.training_inputs import InputCheck, check_inputs
from flare.goes import CLASS_LETTERS
from flare.sample import Cube, Present
from flare.workflows.prediction.resolve_model import Resolved

Row = dict[str, Any]


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of samples, a row each, by a ``model``.

    The fields of the answer are None in rows of samples without a usable image. ``resumed`` is the
    number of rows from an interrupted run; ``synthetic`` says whether the model was trained on
    synthetic regions, ``synthetic_data`` whether the samples are synthetic, None for unknown.
    """

    rows: list[Row]
    model: str
    output: Path | None
    synthetic: bool
    synthetic_data: bool | None = None
    resumed: int = 0

    @property
    def without(self) -> list[str]:
        """The ids of samples that got no forecast."""
        return [row["id"] for row in self.rows if row["goes_class"] is None]

    def summary(self) -> dict[str, float]:
        """Return the metrics: counts, the share of alerts, classes."""
        rows = [row for row in self.rows if row["goes_class"] is not None]
        classes = Counter(row["flare_class"] for row in rows)
        return {
            "forecasts": len(rows),
            "without_forecast": len(self.rows) - len(rows),
            "missing_images": sum(row["missing_images"] for row in self.rows),
            "alert_share": sum(row["alert"] for row in rows) / max(len(rows), 1),
            **{f"classes/{letter}": classes[letter] for letter in CLASS_LETTERS},
        }


def identity(
    model: Resolved, sample_id: str, facts: SampleFacts, check: InputCheck, present: Present
) -> Row:
    """Return the fields of a forecast that say of what, when and by whom it is.

    ``present`` is (T, C). The same forecast again has the same ``forecast_id``. Without a window
    it is issued now.
    """
    window = facts.window(model.forecaster.spec.window_hours)
    times = {
        name: None if time is None else utc_text(time) for name, time in window._asdict().items()
    }
    parts = (model.digest, sample_id, facts.input_digest, *map(str, times.values()))
    return {
        **times,
        "issue_time": times["issue_time"] or utc_text(now()),
        "active_region": facts.active_region,
        "forecast_id": forecast_id_of(*parts, str(facts.active_region)),
        "model_name": model.name,
        "model_version": model.number,
        "input_digest": facts.input_digest,
        **check.fields(present),
    }


def forecast_samples(
    model: Resolved, samples: Sequence[tuple[str, SampleFacts]], cubes: Cube, present: Present
) -> list[Row]:
    """Forecast samples, with their ids: a row each, without an answer if no image can be used.

    ``cubes`` are uint8 (N, T, C, H, W), ``present`` is (N, T, C).
    """
    forecaster = model.forecaster
    usable = np.asarray(present.any(axis=(1, 2)))  # (N,)
    forecast = forecaster.predict(cubes[usable], present[usable])
    answered = iter(answers(forecaster, forecast))
    size, events = forecaster.spec.image_size, forecaster.spec.events
    checks = check_inputs(cubes, present, forecaster.training_inputs, size=size)
    return [
        {
            "id": sample_id,
            **identity(model, sample_id, facts, checks[k], present[k]),
            **(next(answered) if usable[k] else no_answer(events)),
        }
        for k, (sample_id, facts) in enumerate(samples)
    ]


def no_answer(events: Sequence[str]) -> Row:
    """Return the fields of an answer for a sample that cannot be forecast."""
    return {**dict.fromkeys(Answer.__annotations__), "probabilities": dict.fromkeys(events)}


def check_output(output: Path) -> None:
    """Raise ConfigInvalid if the output cannot be written."""
    if output.suffix not in WRITERS:
        raise ConfigInvalid(f"output={output}: give a name ending in {', '.join(WRITERS)}")
    check_folder(output.parent, "output")
    if output.is_dir():
        raise ConfigInvalid(f"output={output} is a folder; give the name of a file")


def write_forecasts(rows: Sequence[Row], output: Path) -> None:
    """Write rows in the format of the suffix, atomically."""
    write_atomically(output, WRITERS[output.suffix](rows))


def _json(rows: Sequence[Row]) -> bytes:
    return json.dumps(list(rows), indent=2, allow_nan=False).encode() + b"\n"


def _json_lines(rows: Sequence[Row]) -> bytes:
    return b"".join(json.dumps(row, allow_nan=False).encode() + b"\n" for row in rows)


def _csv(rows: Sequence[Row]) -> bytes:
    return forecast_frame(rows).to_csv(index=False).encode()


def _parquet(rows: Sequence[Row]) -> bytes:
    frame = forecast_frame(rows)
    for name in Window._fields:
        frame[name] = pd.to_datetime(frame[name], format="ISO8601", utc=True)
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


#: The formats by suffix.
WRITERS: dict[str, Callable[[Sequence[Row]], bytes]] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}

_TYPES = {bool: "boolean", int: "Int64", float: "float64", str: "string"}

#: Types of the columns; a table has those that are known of its samples.
_KINDS: dict[str, type] = {
    "id": str,
    "issue_time": str,
    "active_region": int,
    "observed_peak_flux_w_m2": float,
    "seen_in_training": bool,
    "missing_images": int,
    "scale": str,
    **dict.fromkeys(
        (
            *("valid_from", "valid_to", "forecast_id", "model_name", "model_version"),
            *("input_digest", "status", "reasons", "out_of_range", "missing"),
            *("position_time", "made_at", "newest_image", "warning"),
        ),
        str,
    ),
    **dict.fromkeys(("latitude", "longitude"), float),
    **get_type_hints(Answer),
}


def forecast_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Return a flat table: a column a probability, empty cells where there is no forecast.

    Types are given, because pandas would write 24.0 for 24 in a column with an empty cell. Reasons
    are joined by ``; ``, and images are ``step:channel``, joined by spaces.
    """
    nested = {"probabilities": "probability_", "brightness": "brightness_"}
    typed = {
        name: pd.Series([_cell(row[name]) for row in rows], dtype=_TYPES[_KINDS[name]])
        for name in rows[0]
        if name not in nested
    }
    numbers = {
        f"{prefix}{key}": pd.Series([row[name][key] for row in rows], dtype="float64")
        for name, prefix in nested.items()
        for key in rows[0].get(name, ())
    }
    return pd.DataFrame({**typed, **numbers})


def _cell(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if value and isinstance(value[0], dict):
        return images_text(value)
    return "; ".join(value)
