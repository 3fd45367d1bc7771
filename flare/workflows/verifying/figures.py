"""The figures of a verification, by kind and event."""

from matplotlib.figure import Figure

from flare.plots.comparison import method_scores, monthly_scores
from flare.plots.reliability import corp_diagrams, murphy_diagram
from flare.plots.roc import roc_curve
from flare.workflows.evaluation.report_page import ReportFigure
from flare.workflows.verifying.sections import best_method, resampled_text
from flare.workflows.verifying.verification import Verification

#: Captions by kind.
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


def figures_of(result: Verification) -> dict[str, ReportFigure]:
    """Draw all figures, named KIND_EVENT: those of each event, then the months."""
    drawn: dict[tuple[str, str], Figure] = {}
    for event in result.events:
        drawn |= {(kind, event): figure for kind, figure in _of_event(result, event).items()}
    for event in result.events:
        months = [
            one for one in result.months if (one.event, one.method) == (event, result.methods[0])
        ]
        if months:
            drawn["months", event] = monthly_scores(
                [one.month for one in months],
                [one.skill for one in months],
                [one.probability for one in months],
                [one.rate for one in months],
                title=f"{result.methods[0]}, {event} and above",
                reference=result.climatology,
            )
    return {
        f"{kind}_{event}": ReportFigure(figure, f"{kind}, {event}", CAPTIONS[kind])
        for (kind, event), figure in drawn.items()
    }


def _of_event(result: Verification, event: str) -> dict[str, Figure]:
    filled, observed = result.scored[event], result.samples.outcomes[event]
    scored = {
        name: (observed[rows], filled.probability[name][rows]) for name, rows in filled.rows.items()
    }
    gains = {name: of[0] for name, of in result.against(event, result.climatology).items()}
    best = best_method(result, event)
    rows = filled.rows[best]
    return {
        "skill": method_scores(
            {name: [result.get(event, name, one) for one in _DRAWN] for name in scored},
            gains,
            event=event,
            reference=result.climatology,
            resampled=resampled_text(result),
        ),
        "reliability": corp_diagrams(
            {name: of for name, of in scored.items() if name not in result.references},
            event=event,
        ),
        "murphy": murphy_diagram(scored, event=event),
        "roc": roc_curve(
            *scored[best],
            event=event,
            threshold=result.config.threshold,
            name=best,
            references={name: filled.probability[name][rows] for name in result.references},
        ),
    }
