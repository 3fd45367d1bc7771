"""The forecasts of one issue time: a row a region, and the full disk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from flare.files import combine_digests, digest
from flare.forecast_facts import SampleFacts, Window, utc_text
from flare.forecasters.answer import Answer, answers
from flare.forecasters.training_inputs import ABSTAIN, InputCheck, check_inputs
from flare.workflows.nowcasting.gathering import BEHIND_LIMB, Gathered
from flare.workflows.prediction.prediction_table import Row, forecast_frame, identity, no_answer
from flare.workflows.prediction.resolve_model import Resolved

SYNTHETIC_WARNING = (
    "WARNING: this model learned from SYNTHETIC regions; its forecasts of the real Sun are a "
    "demonstration and not to be relied on"
)
HINDCAST_WARNING = "WARNING: made after its issue time, for a time in the past: no operational use"

CALIBRATION = (
    "1 - prod(1 - p) over the regions takes them as independent and adds up their errors: it is "
    "known to be inflated, and is not calibrated"
)

#: A forecast made so long after its issue time is called a hindcast.
_HINDCAST_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class Bulletin:
    """Forecasts of the real Sun at one time.

    ``rows`` have the fields of the public answer, None where there is no forecast, and what
    identifies the forecast. ``full_disk`` is the probability by event, None where no region has a
    forecast; ``warnings`` belong on every output.
    """

    issue_time: datetime
    made_at: datetime
    newest: datetime | None
    model: Resolved
    source: str
    rows: list[Row]
    full_disk: dict[str, float | None]
    warnings: list[str]
    window_hours: int

    @property
    def forecasts(self) -> list[Row]:
        """The rows that have a forecast."""
        return [row for row in self.rows if row["status"] != ABSTAIN]

    @property
    def valid_to(self) -> datetime:
        """The end of the forecast window, which begins at the issue time."""
        return self.issue_time + timedelta(hours=self.window_hours)

    @property
    def age_minutes(self) -> float | None:
        """How much older than the issue time the newest image is."""
        return None if self.newest is None else _minutes(self.issue_time - self.newest)

    def full_disk_note(self) -> str:
        """Say what the full-disk probability is made of."""
        left_out = [row["active_region"] for row in self.rows if row["status"] == ABSTAIN]
        without = f"; without regions {', '.join(map(str, left_out))}" if left_out else ""
        return f"{len(self.forecasts)} of {len(self.rows)} listed regions{without}. {CALIBRATION}"

    def document(self) -> dict[str, Any]:
        """Return the forecasts for JSON."""
        return {
            "issue_time": utc_text(self.issue_time),
            "valid_from": utc_text(self.issue_time),
            "valid_to": utc_text(self.valid_to),
            "made_at": utc_text(self.made_at),
            "newest_image": None if self.newest is None else utc_text(self.newest),
            "newest_image_age_minutes": self.age_minutes,
            "model": self.model.label,
            "model_name": self.model.name,
            "model_version": self.model.number,
            "source": self.source,
            "warnings": self.warnings,
            "full_disk": {"probabilities": self.full_disk, "calibration": self.full_disk_note()},
            "regions": self.rows,
        }

    def csv(self) -> str:
        """Return a table with a row a region; `verify` reads it as it is."""
        return forecast_frame(self.rows).to_csv(index=False)


def make_bulletin(
    gathered: Gathered,
    model: Resolved,
    *,
    issue_time: datetime,
    made_at: datetime,
    max_age_minutes: float,
    source: str,
) -> Bulletin:
    """Forecast every region whose images the model can use.

    No region gets a forecast if the newest image is older than ``max_age_minutes``.
    """
    forecaster = model.forecaster
    size, hours = forecaster.spec.image_size, forecaster.spec.window_hours
    checks = check_inputs(gathered.cubes, gathered.present, forecaster.training_inputs, size=size)
    forecast = forecaster.predict(gathered.cubes, gathered.present)
    warnings = [SYNTHETIC_WARNING] if forecaster.origin.synthetic else []
    if made_at - issue_time > _HINDCAST_AFTER:
        warnings.append(HINDCAST_WARNING)
    of_all = {
        "synthetic": forecaster.origin.synthetic,
        "made_at": utc_text(made_at),
        "newest_image": None if gathered.newest is None else utc_text(gathered.newest),
        "warning": "; ".join(warnings) or None,
    }
    rows = []
    for k, (check, answer) in enumerate(zip(checks, answers(forecaster, forecast), strict=True)):
        prevented = _prevented(gathered, k, issue_time, max_age_minutes)
        details = [f"{n} x {why}" for why, n in gathered.reasons(k).most_common()]
        check = replace(
            check,
            status=ABSTAIN if prevented else check.status,
            reasons=(*prevented, *check.reasons, *details),
        )
        rows.append(_row(model, gathered, k, issue_time, check, answer) | of_all)
    full_disk = _full_disk(rows, forecaster.spec.events)
    return Bulletin(issue_time, made_at, gathered.newest, model, source, rows, full_disk, warnings,
                  hours)  # fmt: skip


def _row(
    model: Resolved, gathered: Gathered, k: int, issue_time: datetime, check: InputCheck,
    answer: Answer,
) -> Row:  # fmt: skip
    """Return the row of a region, without an answer if the model must abstain."""
    region, events = gathered.regions[k], model.forecaster.spec.events
    name = f"{region.number}_{utc_text(issue_time)}"
    facts = SampleFacts(_digest(gathered, k), Window(issue_time, issue_time), region.number)
    return {
        "id": name,
        **identity(model, name, facts, check, gathered.present[k]),
        **(no_answer(events) if check.status == ABSTAIN else answer),
        "latitude": region.latitude,
        "longitude": region.longitude,
        "position_time": utc_text(region.time),
    }


def _prevented(gathered: Gathered, row: int, issue_time: datetime, max_age: float) -> list[str]:
    """Return why a region gets no forecast whatever the model can use; nothing if it may."""
    if gathered.newest is None:
        return ["there is no image"]
    age = _minutes(issue_time - gathered.newest)
    if age > max_age:
        return [f"the newest image is {age:.0f} min old"]
    hidden = BEHIND_LIMB in gathered.reasons(row) and not gathered.present[row].any()
    return [BEHIND_LIMB] if hidden else []


def _digest(gathered: Gathered, row: int) -> str:
    """Return the identity of a region's input: the files, and what was cut from them."""
    pixels = digest(gathered.cubes[row].tobytes(), gathered.present[row].tobytes())
    return combine_digests({**gathered.images, str(gathered.regions[row]): pixels})


def _full_disk(rows: Sequence[Row], events: Sequence[str]) -> dict[str, float | None]:
    given = [row["probabilities"] for row in rows if row["status"] != ABSTAIN]
    if not given:
        return dict.fromkeys(events)
    return {event: float(1 - np.prod([1 - one[event] for one in given])) for event in events}


def _minutes(span: timedelta) -> float:
    return round(span.total_seconds() / 60, 1)
