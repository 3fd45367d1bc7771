"""The figures of a verification, by kind and event."""

from matplotlib.figure import Figure

from flare.plots.methods import (
    Scored,
    corp_diagrams,
    method_scores,
    monthly_scores,
    murphy_diagram,
)
from flare.plots.roc import roc_curve
from flare.workflows.verifying.months import MonthScores
from flare.workflows.verifying.sections import resampled_text
from flare.workflows.verifying.verification import Verification

#: Captions by kind, in the order of the report.
CAPTIONS = {
    "skill": "Scores of all methods and references, with their gain in Brier skill over "
    "climatology on common samples.",
    "reliability": "Reliability by isotonic regression: no bins. MCB is miscalibration, DSC "
    "discrimination of the Brier score.",
    "murphy": "Mean loss of a user by the cost of a false alarm; the lower the better.",
    "months": "Brier skill over climatology of the windows of each month, with intervals over its "
    "days; and the mean probability with the share of windows with an event.",
    "roc": "Events and non-events that are alarms at every threshold, of the method with the "
    "highest Brier skill score.",
}

_DRAWN = ("brier_skill_score", "true_skill_statistic", "roc_area")


def figures_of(result: Verification) -> dict[str, Figure]:
    """Draw all figures, named KIND_EVENT."""
    figures = {}
    for event in result.events:
        scored = _scored(result, event)
        reference = result.climatology
        gains = {name: of[0] for name, of in result.against(event, reference).items()}
        methods = {name: of for name, of in scored.items() if name not in result.references}
        figures[f"skill_{event}"] = method_scores(
            {name: [result.get(event, name, one) for one in _DRAWN] for name in scored},
            gains,
            event=event,
            reference=reference,
            resampled=resampled_text(result),
        )
        figures[f"reliability_{event}"] = corp_diagrams(methods, event=event)
        figures[f"murphy_{event}"] = murphy_diagram(scored, event=event)
        figures[f"roc_{event}"] = _roc(result, event, list(methods))
    return figures


def month_figures(result: Verification, months: list[MonthScores]) -> dict[str, Figure]:
    """Draw the months of the first method, named months_EVENT."""
    name = result.methods[0]
    figures = {}
    for event in result.events:
        rows = [one for one in months if (one.event, one.method) == (event, name)]
        if rows:
            figures[f"months_{event}"] = monthly_scores(
                [one.month for one in rows],
                [one.skill for one in rows],
                [one.probability for one in rows],
                [one.rate for one in rows],
                title=f"{name}, {event} and above",
                reference=result.climatology,
            )
    return figures


def _scored(result: Verification, event: str) -> dict[str, Scored]:
    """Return outcomes and probabilities of every method on the samples that it is scored on."""
    of = result.scored[event]
    observed = result.samples.outcomes[event]
    return {
        name: (observed[of.rows[name]], values[of.rows[name]])
        for name, values in of.probability.items()
    }


def _roc(result: Verification, event: str, methods: list[str]) -> Figure:
    of = result.scored[event]
    best = max(methods, key=lambda name: _skill(result, event, name))
    rows = of.rows[best]
    return roc_curve(
        result.samples.outcomes[event][rows],
        of.probability[best][rows],
        event=event,
        threshold=result.rules.threshold,
        name=best,
        references={name: of.probability[name][rows] for name in result.references},
    )


def _skill(result: Verification, event: str, name: str) -> float:
    value = result.get(event, name, "brier_skill_score").value
    return value if value == value else float("-inf")  # NaN without events
