"""The scores of an evaluation, stored with the run of the version that was evaluated.

``test.json`` and the model card hold one thing: the scores on the test split of the dataset that
the version was trained on, on the labels as they are, with its own probabilities. An evaluation on
other data, another label scale or at stated base rates is stored beside them under
``evaluations/``, in a file of its own that names all three.
"""

import json

from flare.datasets.sdobenchmark.fingerprint import short
from flare.tracking.registry import (
    RegisteredVersion,
    put_run_text,
    tag_version,
    version_tags,
)
from flare.tracking.runs import Run
from flare.tracking.tags import (
    AUDIT_TAG,
    EVALUATIONS,
    FINGERPRINT_TAG,
    TEST_DATA_TAG,
    TEST_RUN_TAG,
    TEST_SCORES,
)
from flare.workflows.evaluation.model_card import put_card, score_tags
from flare.workflows.evaluation.report.files import Reported
from flare.workflows.evaluation.validation_forecasts import read_scores


def record_evaluation(tracked: Run, reported: Reported) -> None:
    """Store the scores of a registered version; do nothing for a model without one.

    ``tracked`` is the run of the evaluation, where its whole report is. Scores of its own test
    split are also in the version's card and tags.
    """
    version = reported.model.version
    if version is None or version.run_id is None:
        return
    text = json.dumps(_scores(reported, tracked.id), indent=2)
    if not is_own_test(reported, version):
        put_run_text(version, text, f"{EVALUATIONS}/{_name(reported)}.json")
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
    """Say whether scores are of the test split that belongs to a version, and of it as it is."""
    trained_on = version_tags(version).get(FINGERPRINT_TAG)
    return (
        reported.rows.name == "test"
        and reported.scale == "raw"
        and not reported.base_rates
        and reported.pack.fingerprint == trained_on
    )


def _scores(reported: Reported, run_id: str) -> dict[str, object]:
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


def _name(reported: Reported) -> str:
    """Name data, split, scale and base rates; the same evaluation again replaces the file."""
    rates = (f"{event}-{rate:g}" for event, rate in sorted(reported.base_rates.items()))
    pack = reported.pack
    return "_".join([short(pack.fingerprint), reported.rows.name, reported.scale, *rates])
