"""Log the scores of an evaluation to MLflow, and store them with the evaluated version.

``test.json`` and the model card hold the scores on the test split of the dataset that the version
was trained on, on the labels as they are, with its own probabilities. An evaluation on other data,
another label scale or at stated base rates is stored under ``evaluations/``, in a file that names
all three.
"""

import json
from collections.abc import Sequence

import pandas as pd

from flare.datasets.sdobenchmark.fingerprint import short
from flare.tracking.registry import RegisteredVersion, put_run_text, tag_version, version_tags
from flare.tracking.run import ModelScores, Run, now
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
from flare.workflows.evaluation.comparison import CLIMATOLOGY, FOREST, Comparison
from flare.workflows.evaluation.report import Evaluation
from flare.workflows.fitting.model_card import put_card, score_tags
from flare.workflows.fitting.validation_forecasts import read_scores

_COMPARED_TO = "compare_to"
_DESCRIBED = 7500  # characters of a tag in MLflow


def log_scores(tracked: Run, evaluation: Evaluation, *, models: Sequence[str]) -> None:
    """Log scores, tags and description, and store the scores of a registered version.

    ``models`` are the names of the evaluated one and the one compared to. Scores on data with a
    leak, or on regions that a forecaster was trained on, are not stored with the version.
    """
    split, comparison = evaluation.split, evaluation.comparison
    of_skill = not evaluation.overlapping and not evaluation.audit.invalid
    version = evaluation.model.version
    own_test = of_skill and version is not None and _is_own_test(evaluation, version)
    card = comparison.scorecards[comparison.model]
    scores = ModelScores(card.metrics(split), tracked.inputs[split], now())
    tracked.log_scores(scores, model_id=evaluation.model.model_id if own_test else None)
    tracked.log_metrics(_of_others(comparison, split, models))
    tracked.log_table(pd.DataFrame(comparison.rows(split)), SCORE_TABLE)
    evaluation.model.log_use(tracked)
    tracked.set_tags({AUDIT_TAG: evaluation.audit.verdict})
    table = score_markdown(comparison.scorecards, synthetic=evaluation.synthetic)
    lines = "\n".join(f"- {line}" for line in comparison.lines())
    tracked.describe(f"{table}\n{lines}"[:_DESCRIBED])
    if of_skill and version is not None and version.run_id is not None:
        _store(tracked, evaluation, version, own_test=own_test)


def _of_others(comparison: Comparison, split: str, models: Sequence[str]) -> dict[str, float]:
    """Return the headline of the references and of the model compared to, and the differences.

    Of references only the headline of two is a metric; the table of scores and ``report.json``
    have all.
    """
    metrics = comparison.above_climatology[comparison.model].metrics(split, of=CLIMATOLOGY)
    for name, differences in comparison.against.items():
        of = _COMPARED_TO if name in models else name
        if of in (_COMPARED_TO, FOREST, CLIMATOLOGY):
            score = comparison.scorecards[name].get(*HEADLINE_SCORES[0])
            metrics |= score.metrics(split, of=of)
        if of == _COMPARED_TO:
            metrics |= differences[0].metrics(split, of=of)
    return metrics


def _is_own_test(evaluation: Evaluation, version: RegisteredVersion) -> bool:
    """Return True if the scores are of the version's own test split, raw and at its own rates."""
    trained_on = version_tags(version).get(FINGERPRINT_TAG)
    return (
        evaluation.split == "test"
        and evaluation.scale == "raw"
        and not evaluation.base_rates
        and evaluation.pack.fingerprint == trained_on
    )


def _store(
    tracked: Run, evaluation: Evaluation, version: RegisteredVersion, *, own_test: bool
) -> None:
    """Store the scores with the run of the version; those of its own test in card and tags too."""
    cards, pack, split = evaluation.comparison.scorecards, evaluation.pack, evaluation.split
    card = cards[evaluation.comparison.model]
    content = {
        "data": evaluation.data,
        "base_rates": dict(evaluation.base_rates),
        "evaluation_run": tracked.id,
        **card.as_dict(),
    }
    text = json.dumps(content, indent=2)
    if not own_test:
        rates = (f"{event}-{rate:g}" for event, rate in sorted(evaluation.base_rates.items()))
        name = "_".join([short(pack.fingerprint), split, evaluation.scale, *rates])
        put_run_text(version, text, f"{EVALUATIONS}/{name}.json")
        return
    put_card(
        version,
        evaluation.forecaster,
        validation=read_scores(version),
        test=cards,
        test_name=f"{pack.name}, {split} split",
    )
    put_run_text(version, text, TEST_SCORES)
    about = {
        TEST_DATA_TAG: " ".join(tracked.inputs[split]),
        TEST_RUN_TAG: tracked.id,
        AUDIT_TAG: evaluation.audit.verdict,
    }
    tag_version(version, {**about, **score_tags(card, "test")})
