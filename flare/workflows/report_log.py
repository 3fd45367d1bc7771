"""What an evaluation leaves with MLflow: metrics, artifacts, tags, description, model card."""

from collections.abc import Sequence
from pathlib import Path

from flare.goes import HEADLINE_EVENT
from flare.tracking.names import AUDIT_TAG
from flare.tracking.runs import Run
from flare.verification.scorecard import FLUX, Scorecard
from flare.verification.table import score_markdown
from flare.workflows.evaluation_record import record_evaluation
from flare.workflows.report import Reported
from flare.workflows.subsets import COMPLETE, FORECAST_CLEAN

#: Of rivals and parts of the samples only these are metrics; ``report.json`` has all. A run with
#: thousands of metrics is none that anybody can read in MLflow's pages.
KEY_SCORES = {
    **dict.fromkeys(
        (HEADLINE_EVENT, "C1.0"),
        (
            "brier_skill_score",
            "brier_score",
            "true_skill_statistic",
            "heidke_skill_score",
            "roc_area",
        ),
    ),
    FLUX: ("log10_flux_mae", "ranked_probability_score", "interval_coverage"),
}

_DESCRIBED = 7500  # characters that MLflow keeps of a tag


def log_report(tracked: Run, folder: Path, reported: Reported, *, models: Sequence[str]) -> None:
    """Log the report in ``folder``; ``models`` are the evaluated one and the one compared to."""
    split, comparison = reported.rows.name, reported.comparison
    cards = comparison.scorecards
    tracked.log_metrics(cards[comparison.model].metrics(split))
    for name, card in cards.items():
        if name != comparison.model:
            prefix = "compare_to" if name in models else name.split(" ")[0]
            tracked.log_metrics(_key_metrics(card, f"{prefix}/{split}"))
    for subset in (FORECAST_CLEAN, COMPLETE):
        if subset in comparison.subsets:
            card = comparison.subsets[subset][comparison.model]
            tracked.log_metrics(_key_metrics(card, f"{split}_{subset}"))
    tracked.log_metrics(_differences(reported, models))
    tracked.log_metrics(reported.audit.metrics())
    for path in sorted(folder.rglob("*.*")):
        tracked.log_file(path, None if path.parent == folder else path.parent.name)
    tracked.set_tags({**reported.model.tags(), AUDIT_TAG: reported.audit.verdict})
    table = score_markdown(cards, synthetic=reported.pack.synthetic)
    said = "\n".join(f"- {line}" for line in comparison.lines())
    tracked.describe(f"{table}\n{said}"[:_DESCRIBED])
    of_skill = not reported.overlapping and not reported.audit.invalid
    if of_skill:
        record_evaluation(reported, run_id=tracked.id)


def _key_metrics(card: Scorecard, prefix: str) -> dict[str, float]:
    wanted = {f"{prefix}/{event}/{name}" for event, names in KEY_SCORES.items() for name in names}
    return {name: value for name, value in card.metrics(prefix).items() if name in wanted}


def _differences(reported: Reported, models: Sequence[str]) -> dict[str, float]:
    comparison, split = reported.comparison, reported.rows.name
    above = comparison.above_climatology[comparison.model]
    found = {f"{split}/{above.event}/brier_skill_above_climatology": above.value}
    for name in models[1:]:
        for score in comparison.against[name]:
            path = f"{split}/{score.event}/{score.name}_to_compare_to"
            found |= {path: score.value, f"{path}_low": score.low, f"{path}_high": score.high}
    return {name: value for name, value in found.items() if value == value}
