"""Whether a version may become Production: compared with the one that is, on held-out samples.

It is refused where the paired interval says that it is worse, where nothing can be said, and where
it learned nothing; a reason for force overrules each.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flare.config import PromoteConfig
from flare.errors import PromotionRefused, VerificationInvalid
from flare.tracking.registry import RegisteredVersion, tag_version, version_tags
from flare.tracking.runs import Run
from flare.tracking.tags import (
    FINGERPRINT_TAG,
    FORCED_TAG,
    ON_VALIDATION,
    PRODUCTION,
    SYNTHETIC_TAG,
    TUNED_TAG,
)
from flare.verification.scores import FLUX, LOWER_IS_BETTER, Score, json_safe
from flare.workflows.evaluation.candidates import OF_FLUX, learned_nothing, named, validation_score
from flare.workflows.evaluation.validation_forecasts import (
    PairedComparison,
    compare_paired,
    read_validation_forecasts,
)

#: How a refusal ends.
FORCE_ADVICE = "; promote it all the same with -P version=N -P force=REASON"


class NotComparable(PromotionRefused):
    """Nothing can be said of a version and Production, whatever their scores are."""


@dataclass(frozen=True)
class Choice:
    """A version to promote, why, what it was compared by, and what else to tell the user."""

    version: RegisteredVersion
    because: str
    judged: PairedComparison | None = None
    notes: tuple[str, ...] = ()


def checked(
    version: RegisteredVersion,
    because: str,
    config: PromoteConfig,
    incumbent: RegisteredVersion | None,
    tracked: Run,
) -> Choice:
    """Compare a version with Production; refuse it unless it is no worse, or forced."""
    judged, force = None, config.force.strip()
    notes: tuple[str, ...] = ()
    try:
        _refuse_unlearned(version)
        judged = _compared(version, incumbent, config)
        _log(tracked, judged)
        notes = _refuse_worse(judged, version, incumbent)
    except PromotionRefused as refusal:
        if not force:
            raise
        because = f"{because}; forced: {force} (else refused: {refusal})"
        tag_version(version, {FORCED_TAG: force})
        tracked.set_tags({FORCED_TAG: force})
    return Choice(version, because, judged, notes)


def _refuse_unlearned(version: RegisteredVersion) -> None:
    reason = learned_nothing(version_tags(version))
    if reason is not None:
        raise PromotionRefused(f"version {version.version} is not promoted: {reason}{FORCE_ADVICE}")


def _compared(
    version: RegisteredVersion, incumbent: RegisteredVersion | None, config: PromoteConfig
) -> PairedComparison | None:
    """Compare with Production; None where there is none, or it is this very version."""
    if incumbent is None or incumbent.version == version.version:
        return None
    pair = f"version {version.version} cannot be compared with {PRODUCTION}, {incumbent.version}"
    data = [version_tags(one).get(FINGERPRINT_TAG) for one in (version, incumbent)]
    if data[0] != data[1]:
        raise NotComparable(f"{pair}: they were trained on different datasets{FORCE_ADVICE}")
    if _tuned_on_validation(version) and not _tuned_on_validation(incumbent):
        raise NotComparable(
            f"{pair}: it was tuned on the validation regions (folds=0), so its scores there are "
            f"optimistic{FORCE_ADVICE}"
        )
    stored = [read_validation_forecasts(one) for one in (version, incumbent)]
    if stored[0] is None or stored[1] is None:
        without = version.version if stored[0] is None else incumbent.version
        raise NotComparable(
            f"{pair}: no validation forecasts of {without} are stored with its run{FORCE_ADVICE}"
        )
    try:
        judged = compare_paired(
            stored[0],
            stored[1],
            event=FLUX if config.score in OF_FLUX else config.event,
            score_name=config.score,
            lower_is_better=config.score in LOWER_IS_BETTER,
            resamples=config.resamples,
        )
    except VerificationInvalid as error:
        raise NotComparable(f"{pair}: {error}{FORCE_ADVICE}") from error
    return judged


def _tuned_on_validation(version: RegisteredVersion) -> bool:
    return version_tags(version).get(TUNED_TAG) == ON_VALIDATION


def _refuse_worse(
    judged: PairedComparison | None, version: RegisteredVersion, incumbent: RegisteredVersion | None
) -> tuple[str, ...]:
    """Refuse a version that is worse; return what to note where it is promoted all the same."""
    if judged is None or incumbent is None or not (judged.worse or judged.undefined):
        return ()
    if judged.worse and _tuned_on_validation(incumbent) and not _tuned_on_validation(version):
        return (
            f"{PRODUCTION}, {incumbent.version}, was tuned on the validation regions (folds=0): "
            "its score there is optimistic, and does not keep out a version tuned out of fold",
        )
    synthetic = version_tags(version).get(SYNTHETIC_TAG) == "true"
    what = "cannot be compared with" if judged.undefined else "is worse than"
    scores = "; ".join(compared_lines(judged, synthetic))
    refusal = NotComparable if judged.undefined else PromotionRefused
    raise refusal(
        f"version {version.version} {what} {PRODUCTION}: {scores}; it stays as it is{FORCE_ADVICE}"
    )


def compared_lines(judged: PairedComparison, synthetic: bool) -> list[str]:
    """Say both scores and their difference, a line each."""
    name = named(judged.candidate.event, judged.candidate.name)
    data = "synthetic " if synthetic else ""
    sign = "better" if judged.gain.value >= 0 else "worse"
    return [
        f"{data}validation {name} of the candidate {_interval(judged.candidate)}, "
        f"of {PRODUCTION} {_interval(judged.incumbent)}",
        f"the candidate is {sign} by {_interval(judged.gain, signed=True)}, paired over "
        f"{judged.n_active_regions} active regions, {judged.gain.n} samples with "
        f"{judged.gain.n_events} events",
    ]


def _interval(score: Score, *, signed: bool = False) -> str:
    form = "+.3f" if signed else ".3f"
    return f"{score.value:{form}} [{score.low:{form}}, {score.high:{form}}]"


def scores_of(choice: Choice, config: PromoteConfig) -> Mapping[str, Any]:
    """Return the validation scores to record: of both versions, or of the one where it is alone."""
    if choice.judged is None:
        own = validation_score(choice.version, config.event, config.score)
        return {} if own is None else {"candidate": json_safe(own)}
    judged = choice.judged
    scores = {"candidate": judged.candidate, "incumbent": judged.incumbent, "gain": judged.gain}
    return {name: json_safe(score) for name, score in scores.items()}


def _log(tracked: Run, judged: PairedComparison | None) -> None:
    if judged is None or judged.undefined:
        return
    for name, score in (
        ("candidate", judged.candidate),
        ("incumbent", judged.incumbent),
        ("gain", judged.gain),
    ):
        values = {"": score.value, "_low": score.low, "_high": score.high}
        tracked.log_metrics(
            {
                f"validation/{score.event}/{score.name}/{name}{end}": value
                for end, value in values.items()
                if not math.isnan(value)
            }
        )
