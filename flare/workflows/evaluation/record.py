"""Log the report of an evaluation to MLflow, and store the scores with the evaluated version.

``test.json`` and the model card hold the scores on the test split of the dataset that the version
was trained on, on the labels as they are, with its own probabilities. An evaluation on other data,
another label scale or at stated base rates is stored under ``evaluations/``, in a file that names
all three.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from flare.datasets.sdobenchmark.fingerprint import short
from flare.tracking.registry import RegisteredVersion, put_run_text, tag_version, version_tags
from flare.tracking.runs import ModelScores, Run, now
from flare.tracking.tags import (
    AUDIT_TAG,
    EVALUATIONS,
    FINGERPRINT_TAG,
    SCORE_TABLE,
    TEST_DATA_TAG,
    TEST_RUN_TAG,
    TEST_SCORES,
)
from flare.verification.scorecard import HEADLINE_SCORES
from flare.verification.table import score_markdown
from flare.workflows.evaluation.comparison import CLIMATOLOGY, Comparison
from flare.workflows.evaluation.report.sections import Reported
from flare.workflows.fitting.model_card import put_card, score_tags
from flare.workflows.fitting.validation_forecasts import read_scores

#: Of references only this score is a metric, and only of these, by the first word of their names;
#: the table of scores and ``report.json`` have all.
_REFERENCE_SCORE = HEADLINE_SCORES[0]
_REFERENCES = ("forest", CLIMATOLOGY)
_COMPARED_TO = "compare_to"

_DESCRIBED = 7500  # characters of a tag in MLflow


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
    tracked.log_table(pd.DataFrame(comparison.rows(split)), SCORE_TABLE)
    for path in sorted(folder.rglob("*.*")):
        tracked.log_file(path, None if path.parent == folder else path.parent.name)
    reported.model.log_use(tracked)
    tracked.set_tags({AUDIT_TAG: reported.audit.verdict})
    table = score_markdown(cards, synthetic=reported.pack.synthetic)
    lines = "\n".join(f"- {line}" for line in comparison.lines())
    tracked.describe(f"{table}\n{lines}"[:_DESCRIBED])
    if of_skill:
        record_evaluation(tracked, reported)


def _of_others(comparison: Comparison, split: str, models: Sequence[str]) -> dict[str, float]:
    """Return the headline of the references and of the model compared to, and the differences."""
    metrics = comparison.above_climatology[comparison.model].metrics(split, of=CLIMATOLOGY)
    for name in comparison.against:
        short = _COMPARED_TO if name in models else name.split(" ")[0]
        if short in (_COMPARED_TO, *_REFERENCES):
            score = comparison.scorecards[name].get(*_REFERENCE_SCORE)
            metrics |= score.metrics(split, of=short)
        if short == _COMPARED_TO:
            metrics |= comparison.against[name][0].metrics(split, of=short)
    return metrics


def record_evaluation(tracked: Run, reported: Reported) -> None:
    """Store the scores of a registered version; do nothing for a model without one.

    ``tracked`` is the run of the evaluation, where its whole report is. Scores of its own test
    split are also in the version's card and tags.
    """
    version = reported.model.version
    if version is None or version.run_id is None:
        return
    text = json.dumps(_scores_of(reported, tracked.id), indent=2)
    if not is_own_test(reported, version):
        put_run_text(version, text, f"{EVALUATIONS}/{_file_name(reported)}.json")
        return
    cards = reported.comparison.scorecards
    put_card(
        version,
        reported.forecaster,
        validation=read_scores(version),
        test=cards,
        test_name=f"{reported.pack.name}, {reported.rows.name} split",
    )
    put_run_text(version, text, TEST_SCORES)
    about = {
        TEST_DATA_TAG: " ".join(tracked.inputs[reported.rows.name]),
        TEST_RUN_TAG: tracked.id,
        AUDIT_TAG: reported.audit.verdict,
    }
    tag_version(version, {**about, **score_tags(cards[reported.comparison.model], "test")})


def is_own_test(reported: Reported, version: RegisteredVersion) -> bool:
    """Return True if the scores are of the version's own test split, raw and at its own rates."""
    trained_on = version_tags(version).get(FINGERPRINT_TAG)
    return (
        reported.rows.name == "test"
        and reported.scale == "raw"
        and not reported.base_rates
        and reported.pack.fingerprint == trained_on
    )


def _scores_of(reported: Reported, run_id: str) -> dict[str, object]:
    """Return the scorecard of the model, with what it is of."""
    pack, comparison = reported.pack, reported.comparison
    return {
        "data": {
            "name": pack.name,
            "fingerprint": pack.fingerprint,
            "synthetic": pack.synthetic,
            "split": reported.rows.name,
        },
        "base_rates": dict(reported.base_rates),
        "evaluation_run": run_id,
        **comparison.scorecards[comparison.model].as_dict(),
    }


def _file_name(reported: Reported) -> str:
    """Name data, split, scale and base rates; the same evaluation again replaces the file."""
    rates = (f"{event}-{rate:g}" for event, rate in sorted(reported.base_rates.items()))
    pack = reported.pack
    return "_".join([short(pack.fingerprint), reported.rows.name, reported.scale, *rates])
