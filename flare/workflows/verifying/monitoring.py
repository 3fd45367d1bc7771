"""Whether the input of a model moved, and whether its score fell: two different findings."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from flare.forecasters.base import Forecaster
from flare.forecasters.drift import FEWEST_SAMPLES, FORECAST, Drift, drifts
from flare.goes import HEADLINE_EVENT
from flare.sample import CHANNELS
from flare.verification.scores import Score
from flare.workflows.evaluation.report_page import Block, Bullets, Section, Table


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """What a verification says in addition to scores.

    ``notes`` are what was left out of the forecasts; ``drifts`` the distances from the training,
    empty where they are unknown; ``lines`` say whether the input moved and the score fell.
    """

    notes: tuple[str, ...] = ()
    drifts: tuple[Drift, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def moved(self) -> str:
        """The channels that moved, as text: ``none``, or ``unknown``."""
        if all(math.isnan(one.psi) for one in self.drifts):
            return "unknown"
        return ", ".join(one.name for one in self.drifts if one.moved) or "none"


def input_drifts(rows: pd.DataFrame, forecaster: Forecaster) -> tuple[Drift, ...]:
    """Compare the inputs of a model's forecasts with those of its training.

    ``rows`` are of ``read_forecasts``. Empty where either has no record of inputs.
    """
    training = forecaster.training_inputs
    names = [f"brightness_{channel}" for channel in CHANNELS]
    if training is None or not set(names) <= set(rows):
        return ()
    recorded = rows[rows[names].notna().any(axis=1)]
    missing = recorded.reindex(columns=[f"missing_{channel}" for channel in CHANNELS])
    event = f"p_{HEADLINE_EVENT}"
    chance = recorded[event].to_numpy(dtype=np.float64) if event in recorded else np.empty(0)
    brightness = recorded[names].to_numpy(dtype=np.float64)
    return tuple(drifts(training, brightness, missing.to_numpy(dtype=np.float64), chance))


def monitoring(
    scores: Iterable[Score],
    rows: pd.DataFrame,
    forecaster: Forecaster,
    *,
    before: Iterable[Mapping[str, Any]],
    scored_on: str | None,
    notes: Iterable[str],
) -> Monitoring:
    """Say whether the input of a model moved and whether its score of the headline event fell.

    ``scores`` are those of its forecasts now, and ``rows`` the forecasts; ``before`` are its
    registered scores on ``scored_on``.
    """
    watched = Monitoring(notes=tuple(notes), drifts=input_drifts(rows, forecaster))
    fell, line = _of_score(scores, before, scored_on)
    lines = [_of_input(watched, recorded=forecaster.training_inputs is not None), line]
    if fell is not None and watched.moved != "unknown":
        lines.append(_VERDICTS[watched.moved != "none", fell])
    return replace(watched, lines=tuple(lines))


_VERDICTS = {
    (True, True): "look at the instrument and the preparation of images first; then train again",
    (True, False): "the model copes with the new input so far; watch its scores",
    (False, True): "the input is as in training: look at the flare list, the event rate and the "
    "phase of the solar cycle, then train again",
    (False, False): "nothing needs to be done",
}


def _of_input(watched: Monitoring, *, recorded: bool) -> str:
    if not recorded:
        return (
            "input: unknown whether it moved: the model has no record of its training inputs; "
            "train it again"
        )
    if not watched.drifts:
        return "input: unknown whether it moved: the forecasts have no columns brightness_..."
    if watched.moved == "unknown":
        return (
            f"input: unknown whether it moved: fewer than {FEWEST_SAMPLES} forecasts have an image "
            "of any channel"
        )
    if watched.moved == "none":
        return "input: it did not move"
    return f"input: it moved: {watched.moved}"


def _of_score(
    scores: Iterable[Score], before: Iterable[Mapping[str, Any]], scored_on: str | None
) -> tuple[bool | None, str]:
    """Return whether the score fell, None for unknown, and the line for it."""
    key = (HEADLINE_EVENT, "brier_skill_score")
    then = next((one for one in before if (one["event"], one["name"]) == key), None)
    now = next((one for one in scores if (one.event, one.name) == key), None)
    lacking = None
    if then is None:
        lacking = "the version has no registered score"
    elif now is None:
        lacking = "the forecasts have no such event"
    elif None in (then["value"], then["low"]) or math.isnan(now.high):
        lacking = "it is undefined now"
    if lacking or now is None or then is None:
        return None, f"score: unknown whether the {HEADLINE_EVENT} BSS fell: {lacking}"
    fell = now.high < float(then["low"])
    return fell, (
        f"score: {HEADLINE_EVENT} BSS {now.text()} now, "
        f"{then['value']:.3f} [{then['low']:.3f}, {then['high']:.3f}] before ({scored_on}): "
        + ("it fell" if fell else "it did not fall beyond its intervals")
    )


def monitoring_section(watched: Monitoring) -> Section:
    """Return what moved, with a row for each channel and for the forecasts."""
    blocks: list[Block] = [Bullets([*watched.notes, *watched.lines])]
    if watched.drifts:
        rows = [
            [
                one.name,
                str(one.n),
                _number(one.psi),
                _number(one.ks),
                "moved" if one.moved else "-",
                _number(one.missing),
                _number(one.missing_before),
            ]
            for one in watched.drifts
        ]
        caption = (
            "Brightness of the forecasts' images, and their M1.0 probability, against the "
            "training. PSI: population stability index; moved above 0.25 and beyond chance. KS: "
            "Kolmogorov-Smirnov distance."
        )
        header = ["", "n", "PSI", "KS", "", "missing images", "in training"]
        blocks.append(Table(caption, header, rows))
        forecast = next(one for one in watched.drifts if one.name == FORECAST)
        if forecast.moved and watched.moved == FORECAST:
            text = "The forecasts moved although no channel's brightness did."
            blocks.append(Bullets([text]))
    return Section("Input and score", blocks)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
