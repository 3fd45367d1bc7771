"""The sections of the report of a verification, and what it says in single lines."""

from collections.abc import Sequence

import numpy as np

from flare.verification.reliability import binned_frequencies
from flare.verification.scores import FLUX, VS_CLIMATOLOGY, title_of
from flare.workflows.evaluation.report_page import (
    SYNTHETIC_WARNING,
    Block,
    Bullets,
    Cells,
    Paragraph,
    Section,
    Table,
    score_cell,
    score_table,
)
from flare.workflows.verifying.monitoring import Monitoring, monitoring_section
from flare.workflows.verifying.scoring import ALL_EVENTS
from flare.workflows.verifying.verification import Verification

_SKILL = (
    "brier_skill_score", VS_CLIMATOLOGY, "roc_area", "roc_skill_score", "average_precision",
    "log_score", "expected_calibration_error",
)  # fmt: skip
_ALARMS = (
    "true_skill_statistic", "heidke_skill_score", "gilbert_skill_score", "appleman_skill_score",
    "symmetric_extremal_dependence_index", "probability_of_detection", "false_alarm_ratio",
    "frequency_bias", "accuracy",
)  # fmt: skip
_OVER_ALL = (
    "gandin_murphy_gerrity_score", "ranked_probability_score", "ranked_probability_skill_score",
    "log_loss",
)  # fmt: skip
_OF_FLUX = (
    "log10_flux_mae", "log10_flux_mae_floored", "log10_flux_bias", "interval_coverage",
    "interval_width",
)  # fmt: skip

#: Where the titles of columns are not those of the scores.
_TITLES = {
    VS_CLIMATOLOGY: "BSS vs climatology",
    "roc_skill_score": "ROC skill",
    "gandin_murphy_gerrity_score": "GMGS",
    "log10_flux_mae_floored": "floored at B1.0",
    "log10_flux_bias": "bias (dex)",
}

#: Scores and the prefixes of their parts.
_PARTED = {
    "brier_score": "brier",
    "log_score": "log",
    "misclassification_rate": "misclassification",
}
_PARTS = ("miscalibration", "discrimination", "uncertainty")

_MISSING = {
    "drop": "each method is scored on the samples that it has; differences are on the samples that "
    "both have",
    "climatology": "a missing forecast counts as the climatology of the days before",
    "common": "only samples are scored for which all methods have a forecast",
}

#: Methods whose months are in the report; ``months.csv`` has all.
_WITH_MONTHS = 3


def resampled_text(result: Verification) -> str:
    """Say what intervals are over."""
    if result.config.bootstrap == "region":
        return f"{result.groups} active regions"
    return f"{result.groups} blocks of {result.config.block_days:g} days"


def summary_of(result: Verification) -> str:
    """Describe the samples in one sentence."""
    samples = result.samples
    counts = ", ".join(f"{int(of.sum())} of {event}" for event, of in samples.outcomes.items())
    first, last = (np.datetime_as_string(samples.times[place], unit="D") for place in (0, -1))
    where = "active regions" if samples.by_region else "the full disk"
    return (
        f"{len(samples)} windows of {samples.window / np.timedelta64(1, 'h'):g} h of {where}, "
        f"{first} to {last}; events: {counts}. [95 % intervals from {result.config.resamples} "
        f"resamples of {resampled_text(result)}]."
    )


def best_method(result: Verification, event: str) -> str:
    """Return the method with the highest Brier skill score, without events the first."""
    skill = {
        name: result.get(event, name, "brier_skill_score").value
        for name in result.samples.probabilities[event]
    }
    return max(skill, key=lambda name: np.nan_to_num(skill[name], nan=-np.inf))


def lines_of(result: Verification) -> list[str]:
    """Describe the best method of each event, a line each."""
    lines = []
    for event in result.events:
        best = best_method(result, event)
        score = result.get(event, best, "brier_skill_score")
        if np.isnan(score.value):
            lines.append(f"{event}: {score.n_events} events; skill scores are undefined")
            continue
        methods = result.samples.probabilities[event]
        gains = result.against(event, result.climatology)
        skill = [gains[name][0] for name in methods if name in gains]
        better, worse = sum(one.low > 0 for one in skill), sum(one.high < 0 for one in skill)
        lines.append(
            f"{event}: highest BSS {score_cell(score)} by {best}; against {result.climatology}, on "
            f"common samples, {better} of {len(methods)} methods are better and {worse} "
            "worse (95 % interval of the paired difference in BSS)"
        )
    return lines


def sections_of(result: Verification, watched: Monitoring) -> list[Section]:
    """Return all sections, the summary first."""
    sections = [_counts(result)]
    for event in reversed(result.events):
        sections += [_of_event(result, event), _differences(result, event)]
    for event, title, columns, what in (
        (ALL_EVENTS, "All events at once", _OVER_ALL, "all events"),
        (FLUX, "Peak flux", _OF_FLUX, "the peak flux"),
    ):
        if event in result.scores:
            table = _table(result, event, columns, f"Methods that forecast {what}.")
            sections.append(Section(title, [table]))
    alone = len(result.methods) == 1  # then its months come first
    sections.insert(0 if alone else len(sections), _months(result))
    if watched.notes or watched.lines:
        sections.insert(0, monitoring_section(watched))
    return [Section("Summary", _summary(result)), *sections, _screening(result)]


def _summary(result: Verification) -> list[Block]:
    blocks: list[Block] = [SYNTHETIC_WARNING] if result.samples.synthetic else []
    if result.suspect:
        text = f"Suspect, too good to be forecasts: {', '.join(result.suspect)}. See Screening."
        blocks.append(Paragraph(text, warning=True))
    missing, threshold = result.config.missing, result.config.threshold
    lines = [
        *lines_of(result),
        f"missing={missing}: {_MISSING[missing]}",
        f"scores of alarms: a probability of at least {threshold:g} is an alarm",
    ]
    return [*blocks, Bullets(lines)]


def _counts(result: Verification) -> Section:
    header = ["method"]
    header += [f"{event} {what}" for event in result.events for what in ("n", "missing")]
    rows: list[Cells] = []
    for name in (*result.methods, *result.references):
        cells: Cells = [name]
        for of in result.scored.values():
            there = name in of.rows
            cells += [str(len(of.rows[name])), str(of.missing[name])] if there else ["-", "-"]
        rows.append(cells)
    caption = "Samples that are scored, and those without a forecast."
    return Section("Forecasts", [Table(caption, header, rows)])


def _table(result: Verification, event: str, names: Sequence[str], caption: str) -> Table:
    columns = {_TITLES.get(name, title_of(name)): name for name in names}
    return score_table(caption, result.scores[event], columns, who="method")


def _of_event(result: Verification, event: str) -> Section:
    n_events = int(result.samples.outcomes[event].sum())
    blocks: list[Block] = [
        _table(result, event, _SKILL, f"{n_events} events in {len(result.samples)} samples."),
        _table(result, event, _ALARMS, "Scores of alarms."),
    ]
    for score, kind in _PARTED.items():
        columns = {"score": score, **{part: f"{kind}_{part}" for part in _PARTS}}
        title = f"{title_of(score)} = miscalibration - discrimination + uncertainty (CORP)."
        scores = result.scores[event]
        blocks.append(score_table(title.capitalize(), scores, columns, who="method"))
    blocks.append(_reliability(result, event))
    return Section(f"Flares of at least {event}", blocks)


def bins_of(result: Verification, event: str) -> dict[str, list[dict[str, float]]]:
    """Return the reliability of an event in ten bins of equal width, by method."""
    of, outcomes = result.scored[event], result.samples.outcomes[event]
    return {
        name: binned_frequencies(
            outcomes[rows], of.probability[name][rows], laplace=result.config.laplace
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
    rule = " by Laplace's rule, (events + 1) / (n + 2)" if result.config.laplace else ""
    caption = f"Reliability: mean forecast: observed frequency{rule} (n), by forecast probability."
    return Table(caption, ["method", *(f"{low / 10:.1f}" for low in range(10))], rows)


def _differences(result: Verification, event: str) -> Section:
    """Return differences from each reference with intervals, and the signs of all pairs."""
    names = list(result.scored[event].probability)
    against = {name: result.against(event, name) for name in names}
    references, methods = result.references, list(result.samples.probabilities[event])
    rows: list[Cells] = []
    for name in names:
        scores = [against[other].get(name, (None,))[0] for other in references]
        rows.append([name, *(score_cell(score, signed=True) for score in scores)])
    signs: list[Cells] = []
    for name in methods:
        cells: Cells = [name]
        for other in methods:
            score = against[other].get(name, (None,))[0]
            decided = score is not None and (score.low > 0 or score.high < 0)
            cells.append("" if score is None else f"{score.value:+.2f}{'*' if decided else ''}")
        signs.append(cells)
    return Section(
        f"Paired differences, {event}",
        [
            Table(
                "On the samples that both have, and the same resamples; where an interval "
                "excludes 0 the two differ. One of twenty differences between equal methods is "
                "expected to.",
                ["BSS of the method minus that of", *references],
                rows,
            ),
            Table(
                "BSS of the method of the row minus that of the column; *: the interval excludes "
                "0. differences.csv has the intervals, and the TSS.",
                ["", *methods],
                signs,
            ),
        ],
    )


def _months(result: Verification) -> Section:
    """Return the months in a table for each event and for the first methods."""
    tables = []
    header = ["month", "n", "events", "event rate", "mean probability", "Brier score",
              f"BSS vs {result.climatology}"]  # fmt: skip
    for event in reversed(result.events):
        for name in result.methods[:_WITH_MONTHS]:
            rows: list[Cells] = [
                [
                    one.month,
                    str(one.brier.n),
                    str(one.brier.n_events),
                    f"{one.rate:.3f}",
                    f"{one.probability:.3f}",
                    score_cell(one.brier),
                    score_cell(one.skill, signed=True),
                ]
                for one in result.months
                if (one.event, one.method) == (event, name)
            ]
            if rows:
                caption = f"{name}, {event}. Intervals are over the days of the month."
                tables.append(Table(caption, header, rows))
    return Section("Month by month", tables)


def _screening(result: Verification) -> Section:
    lines = [f"{name}: {'; '.join(result.suspect.get(name, ['ok']))}" for name in result.methods]
    text = (
        "Suspect are probabilities that are the outcomes, that order all samples without an error, "
        "or whose skill no known forecast has; an odd threshold with the highest TSS of these "
        "samples; and samples without a quiet one. It is no proof of the contrary."
    )
    return Section("Screening", [Paragraph(text), Bullets(lines)])
