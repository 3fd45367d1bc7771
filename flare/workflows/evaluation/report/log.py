"""What an evaluation leaves with MLflow: metrics, artifacts, tags, description, model card."""

from collections.abc import Sequence
from pathlib import Path

from flare.tracking.model_scores import ModelScores
from flare.tracking.runs import Run, now
from flare.tracking.tags import AUDIT_TAG
from flare.verification.scorecard import HEADLINE_SCORES
from flare.verification.table import score_markdown
from flare.workflows.evaluation.comparison import CLIMATOLOGY, Comparison
from flare.workflows.evaluation.record import is_own_test, record_evaluation
from flare.workflows.evaluation.report.files import Reported
from flare.workflows.fitting.score_table import comparison_rows, log_scores

#: Of other forecasters only this score is a metric, and of those only these by their first word;
#: the table of scores and ``report.json`` have all. Nobody can read a run of hundreds of metrics.
_REFERENCE_SCORE = HEADLINE_SCORES[0]
_REFERENCES = ("forest", CLIMATOLOGY)
_COMPARED_TO = "compare_to"

_DESCRIBED = 7500  # characters that MLflow keeps of a tag


def log_report(tracked: Run, folder: Path, reported: Reported, *, models: Sequence[str]) -> None:
    """Log the report in ``folder``; ``models`` are the evaluated one and the one compared to."""
    split, comparison = reported.rows.name, reported.comparison
    cards = comparison.scorecards
    of_skill = not reported.overlapping and not reported.audit.invalid
    version = reported.model.version
    counts = of_skill and version is not None and is_own_test(reported, version)
    scores = ModelScores(cards[comparison.model].metrics(split), tracked.inputs[split], now())
    tracked.log_scores(scores, model_id=reported.model.model_id if counts else None)
    tracked.log_metrics(_of_others(comparison, split, models))
    log_scores(tracked, comparison_rows(comparison, split))
    for path in sorted(folder.rglob("*.*")):
        tracked.log_file(path, None if path.parent == folder else path.parent.name)
    reported.model.log_use(tracked)
    tracked.set_tags({AUDIT_TAG: reported.audit.verdict})
    table = score_markdown(cards, synthetic=reported.pack.synthetic)
    said = "\n".join(f"- {line}" for line in comparison.lines())
    tracked.describe(f"{table}\n{said}"[:_DESCRIBED])
    if of_skill:
        record_evaluation(tracked, reported)


def _of_others(comparison: Comparison, split: str, models: Sequence[str]) -> dict[str, float]:
    """Return the headline of the references and of the model compared to, and the differences."""
    found = comparison.above_climatology[comparison.model].metrics(split, of=CLIMATOLOGY)
    for name in comparison.against:
        short = _COMPARED_TO if name in models else name.split(" ")[0]
        if short in (_COMPARED_TO, *_REFERENCES):
            score = comparison.scorecards[name].get(*_REFERENCE_SCORE)
            found |= score.metrics(split, of=short)
        if short == _COMPARED_TO:
            found |= comparison.against[name][0].metrics(split, of=short)
    return found
