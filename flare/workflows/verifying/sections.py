"""The sections of the report of a verification."""

from collections.abc import Sequence

import numpy as np

from flare.verification.reliability import binned_frequencies
from flare.verification.scores import FLUX, Score
from flare.workflows.evaluation.report.render import (
    Block,
    Bullets,
    Paragraph,
    Section,
    Table,
    Value,
)
from flare.workflows.evaluation.report.sections import Cells, interval_cell
from flare.workflows.verifying.scoring import ALL_EVENTS
from flare.workflows.verifying.verification import Verification

#: The columns of the tables of an event: title and score.
_SKILL = (
    ("BSS", "brier_skill_score"),
    ("BSS vs climatology", "brier_skill_score_vs_climatology"),
    ("ROC area", "roc_area"),
    ("ROC skill", "roc_skill_score"),
    ("average precision", "average_precision"),
    ("log score", "log_score"),
    ("calibration error", "expected_calibration_error"),
)
_ALARMS = (
    ("TSS", "true_skill_statistic"),
    ("HSS", "heidke_skill_score"),
    ("ETS", "gilbert_skill_score"),
    ("ApSS", "appleman_skill_score"),
    ("SEDI", "symmetric_extremal_dependence_index"),
    ("POD", "probability_of_detection"),
    ("FAR", "false_alarm_ratio"),
    ("frequency bias", "frequency_bias"),
    ("accuracy", "accuracy"),
)
_PARTS = ("score", "miscalibration", "discrimination", "uncertainty")
_PARTED = {
    "brier": "brier_score",
    "log": "log_score",
    "misclassification": "misclassification_rate",
}
_OVER_ALL = (
    ("GMGS", "gandin_murphy_gerrity_score"),
    ("RPS", "ranked_probability_score"),
    ("RPSS", "ranked_probability_skill_score"),
    ("log loss", "log_loss"),
)

_OF_FLUX = (
    ("log10-flux MAE (dex)", "log10_flux_mae"),
    ("floored at B1.0", "log10_flux_mae_floored"),
    ("bias (dex)", "log10_flux_bias"),
    ("interval coverage", "interval_coverage"),
    ("interval width (dex)", "interval_width"),
)

_MISSING = {
    "drop": "each method is scored on the samples that it has; differences are on the samples that "
    "both have",
    "climatology": "a missing forecast counts as the climatology of the days before",
    "common": "only samples are scored for which all methods have a forecast",
}


def resampled_text(result: Verification) -> str:
    """Say what intervals are over."""
    if result.rules.bootstrap == "region":
        return f"{result.groups} active regions"
    return f"{result.groups} blocks of {result.rules.block_days:g} days"


def summary_of(result: Verification) -> str:
    """Describe the samples in one sentence."""
    samples = result.samples
    counts = ", ".join(f"{int(of.sum())} of {event}" for event, of in samples.outcomes.items())
    first, last = (np.datetime_as_string(samples.times[place], unit="D") for place in (0, -1))
    where = "active regions" if samples.by_region else "the full disk"
    return (
        f"{len(samples)} windows of {samples.window / np.timedelta64(1, 'h'):g} h of {where}, "
        f"{first} to {last}; events: {counts}. [95 % intervals from {result.rules.resamples} "
        f"resamples of {resampled_text(result)}]."
    )


def lines_of(result: Verification) -> list[str]:
    """Describe the best method of each event, a line each."""
    lines = []
    for event in result.events:
        skill = {
            name: result.get(event, name, "brier_skill_score").value
            for name in result.scored[event].probability
            if name not in result.references
        }
        best = max(skill, key=lambda name: np.nan_to_num(skill[name], nan=-np.inf))
        if np.isnan(skill[best]):
            n_events = result.get(event, best, "brier_skill_score").n_events
            lines.append(f"{event}: {n_events} events; skill scores are undefined")
            continue
        gains = result.against(event, result.climatology)
        better = [name for name in skill if name in gains and gains[name][0].low > 0]
        worse = [name for name in skill if name in gains and gains[name][0].high < 0]
        score = result.get(event, best, "brier_skill_score")
        lines.append(
            f"{event}: highest BSS {_text(score)} by {best}; against {result.climatology}, on "
            f"common samples, {len(better)} of {len(skill)} methods are better and {len(worse)} "
            "worse (95 % interval of the paired difference in BSS)"
        )
    return lines


def _text(score: Score) -> str:
    cell = interval_cell(score)
    return str(cell)


def sections_of(result: Verification) -> list[Section]:
    """Return all sections, the summary first."""
    sections = [Section("Summary", _summary(result)), _counts(result)]
    for event in reversed(result.events):
        sections.append(_of_event(result, event))
        sections.append(_differences(result, event))
    if ALL_EVENTS in result.scores:
        table = _table(result, ALL_EVENTS, _OVER_ALL, "Methods that forecast all events.")
        sections.append(Section("All events at once", [table]))
    if FLUX in result.scores:
        table = _table(result, FLUX, _OF_FLUX, "Methods that forecast the peak flux.")
        sections.append(Section("Peak flux", [table]))
    return [*sections, _screening(result)]


def _summary(result: Verification) -> list[Block]:
    blocks: list[Block] = []
    if result.samples.synthetic:
        text = "SYNTHETIC DATA: these scores say nothing about the real Sun."
        blocks.append(Paragraph(text, warning=True))
    if result.suspect:
        names = ", ".join(result.suspect)
        text = f"Suspect, too good to be forecasts: {names}. See Screening."
        blocks.append(Paragraph(text, warning=True))
    rules = result.rules
    return [
        *blocks,
        Bullets(
            [
                *lines_of(result),
                f"missing={rules.missing}: {_MISSING[rules.missing]}",
                f"scores of alarms: a probability of at least {rules.threshold:g} is an alarm",
            ]
        ),
    ]


def _counts(result: Verification) -> Section:
    header = [
        "method",
        *(f"{event} {what}" for event in result.events for what in ("n", "missing")),
    ]
    rows: list[Cells] = []
    for name in (*result.methods, *result.references):
        cells: Cells = [name]
        for of in result.scored.values():
            there = name in of.rows
            cells += [str(len(of.rows[name])), str(of.missing[name])] if there else ["-", "-"]
        rows.append(cells)
    caption = "Samples that are scored, and those without a forecast."
    return Section("Forecasts", [Table(caption, header, rows)])


def _of_event(result: Verification, event: str) -> Section:
    n_events = int(result.samples.outcomes[event].sum())
    blocks: list[Block] = [
        _table(result, event, _SKILL, f"{n_events} events in {len(result.samples)} samples."),
        _table(result, event, _ALARMS, "Scores of alarms."),
    ]
    for kind, score in _PARTED.items():
        columns = [(part, score if part == "score" else f"{kind}_{part}") for part in _PARTS]
        title = f"{score.replace('_', ' ')} = miscalibration - discrimination + uncertainty (CORP)."
        blocks.append(_table(result, event, columns, title.capitalize()))
    blocks.append(_reliability(result, event))
    return Section(f"Flares of at least {event}", blocks)


def bins_of(result: Verification, event: str) -> dict[str, list[dict[str, float]]]:
    """Return the reliability of an event in ten bins of equal width, by method."""
    of, outcomes = result.scored[event], result.samples.outcomes[event]
    return {
        name: binned_frequencies(
            outcomes[rows], of.probability[name][rows], laplace=result.rules.laplace
        )
        for name, rows in of.rows.items()
    }


def _reliability(result: Verification, event: str) -> Table:
    rows: list[Cells] = []
    for name, bins in bins_of(result, event).items():
        cells: Cells = [name, *([""] * 10)]
        for one in bins:
            text = f"{one['forecast']:.2f}: {one['observed']:.2f} ({one['n']:g})"
            cells[1 + round(10 * one["low"])] = text
        rows.append(cells)
    rule = " by Laplace's rule, (events + 1) / (n + 2)" if result.rules.laplace else ""
    caption = f"Reliability: mean forecast: observed frequency{rule} (n), by forecast probability."
    return Table(caption, ["method", *(f"{low / 10:.1f}" for low in range(10))], rows)


def _table(
    result: Verification,
    event: str,
    columns: Sequence[tuple[str, str]],
    caption: str,
) -> Table:
    rows: list[Cells] = []
    for name, scores in result.scores[event].items():
        by_name = {score.name: score for score in scores}
        cells = (_cell(by_name[one]) if one in by_name else Value("-") for _, one in columns)
        rows.append([name, *cells])
    return Table(caption, ["method", *(title for title, _ in columns)], rows)


def _cell(score: Score) -> Value:
    return Value("inf") if np.isinf(score.value) else interval_cell(score)


def _differences(result: Verification, event: str) -> Section:
    """Return differences from each reference with intervals, and the signs of all pairs."""
    blocks: list[Block] = []
    rows: list[Cells] = []
    against = {name: result.against(event, name) for name in result.references}
    for name in result.scored[event].probability:
        cells: Cells = [name]
        for other in result.references:
            score = against[other].get(name)
            cells.append(Value("-") if score is None else interval_cell(score[0], signed=True))
        rows.append(cells)
    header = ["BSS of the method minus that of", *result.references]
    caption = (
        "On the samples that both have, and the same resamples; where an interval excludes 0 the "
        "two differ. One of twenty differences between equal methods is expected to."
    )
    blocks.append(Table(caption, header, rows))
    blocks.append(_matrix(result, event))
    return Section(f"Paired differences, {event}", blocks)


def _matrix(result: Verification, event: str) -> Table:
    names = [name for name in result.scored[event].probability if name not in result.references]
    rows: list[Cells] = []
    for name in names:
        cells: Cells = [name]
        of = {other: result.against(event, other).get(name) for other in names}
        for score in of.values():
            if score is None:
                cells.append("")
                continue
            decided = score[0].low > 0 or score[0].high < 0
            cells.append(f"{score[0].value:+.2f}{'*' if decided else ''}")
        rows.append(cells)
    caption = (
        "BSS of the method of the row minus that of the column; *: the interval excludes 0. "
        "differences.csv has the intervals, and the TSS."
    )
    return Table(caption, ["", *names], rows)


def _screening(result: Verification) -> Section:
    lines = [
        f"{name}: {'; '.join(result.suspect[name])}" if name in result.suspect else f"{name}: ok"
        for name in result.methods
    ]
    text = (
        "Suspect are probabilities that are the outcomes, that order all samples without an error, "
        "or whose skill no known forecast has; an odd threshold with the highest TSS of these "
        "samples; and samples without a quiet one. It is no proof of the contrary."
    )
    return Section("Screening", [Paragraph(text), Bullets(lines)])
