"""Compare a version with Production on validation samples before it is promoted.

It is refused where the paired interval lies below 0, where the two cannot be compared, and where it
learned nothing; ``force`` with a reason overrules each.
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
    POSTPROCESSING_TAG,
    PRODUCTION,
    SYNTHETIC_TAG,
)
from flare.verification.scores import FLUX, LOWER_IS_BETTER, Score, json_safe
from flare.workflows.evaluation.candidates import OF_FLUX, learned_nothing, named, validation_score
from flare.workflows.evaluation.validation_forecasts import (
    PairedComparison,
    compare_paired,
    read_validation_forecasts,
)

#: The end of every refusal.
FORCE_ADVICE = "; promote it all the same with -P version=N -P force=REASON"


class NotComparable(PromotionRefused):
    """A version and Production cannot be compared, whatever their scores are."""


@dataclass(frozen=True)
class Choice:
    """A version to promote, the reason, its comparison with Production, and notes."""

    version: RegisteredVersion
    because: str
    comparison: PairedComparison | None = None
    notes: tuple[str, ...] = ()


def checked(
    version: RegisteredVersion,
    because: str,
    config: PromoteConfig,
    incumbent: RegisteredVersion | None,
    tracked: Run,
) -> Choice:
    """Compare a version with Production; refuse it if it is worse, unless forced."""
    comparison, force = None, config.force.strip()
    notes: tuple[str, ...] = ()
    try:
        _refuse_unlearned(version)
        comparison = _compared(version, incumbent, config)
        _log(tracked, comparison)
        notes = _refuse_worse(comparison, version, incumbent)
    except PromotionRefused as refusal:
        if not force:
            raise
        because = f"{because}; forced: {force} (else refused: {refusal})"
        tag_version(version, {FORCED_TAG: force})
        tracked.set_tags({FORCED_TAG: force})
    return Choice(version, because, comparison, notes)


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
    if _fitted_on_validation(version) and not _fitted_on_validation(incumbent):
        raise NotComparable(
            f"{pair}: its postprocessing was fitted on the validation regions (folds=0), so its "
            f"scores there are optimistic{FORCE_ADVICE}"
        )
    stored = [read_validation_forecasts(one) for one in (version, incumbent)]
    if stored[0] is None or stored[1] is None:
        without = version.version if stored[0] is None else incumbent.version
        raise NotComparable(
            f"{pair}: no validation forecasts of {without} are stored with its run{FORCE_ADVICE}"
        )
    try:
        comparison = compare_paired(
            stored[0],
            stored[1],
            event=FLUX if config.score in OF_FLUX else config.event,
            score_name=config.score,
            lower_is_better=config.score in LOWER_IS_BETTER,
            resamples=config.resamples,
        )
    except VerificationInvalid as error:
        raise NotComparable(f"{pair}: {error}{FORCE_ADVICE}") from error
    return comparison


def _fitted_on_validation(version: RegisteredVersion) -> bool:
    return version_tags(version).get(POSTPROCESSING_TAG) == ON_VALIDATION


def _refuse_worse(
    comparison: PairedComparison | None,
    version: RegisteredVersion,
    incumbent: RegisteredVersion | None,
) -> tuple[str, ...]:
    """Refuse a version that is worse; return notes where it is promoted all the same."""
    if comparison is None or incumbent is None or not (comparison.worse or comparison.undefined):
        return ()
    if comparison.worse and _fitted_on_validation(incumbent) and not _fitted_on_validation(version):
        return (
            f"the postprocessing of {PRODUCTION}, {incumbent.version}, was fitted on the "
            "validation regions (folds=0): its score there is optimistic, and does not keep out a "
            "version with postprocessing fitted out of fold",
        )
    synthetic = version_tags(version).get(SYNTHETIC_TAG) == "true"
    what = "cannot be compared with" if comparison.undefined else "is worse than"
    scores = "; ".join(compared_lines(comparison, synthetic))
    refusal = NotComparable if comparison.undefined else PromotionRefused
    raise refusal(
        f"version {version.version} {what} {PRODUCTION}: {scores}; it stays as it is{FORCE_ADVICE}"
    )


def compared_lines(comparison: PairedComparison, synthetic: bool) -> list[str]:
    """Return both scores and their difference, a line each."""
    name = named(comparison.candidate.event, comparison.candidate.name)
    data = "synthetic " if synthetic else ""
    sign = "better" if comparison.gain.value >= 0 else "worse"
    return [
        f"{data}validation {name} of the candidate {_interval(comparison.candidate)}, "
        f"of {PRODUCTION} {_interval(comparison.incumbent)}",
        f"the candidate is {sign} by {_interval(comparison.gain, signed=True)}, paired over "
        f"{comparison.n_active_regions} active regions, {comparison.gain.n} samples with "
        f"{comparison.gain.n_events} events",
    ]


def _interval(score: Score, *, signed: bool = False) -> str:
    form = "+.3f" if signed else ".3f"
    return f"{score.value:{form}} [{score.low:{form}}, {score.high:{form}}]"


def scores_of(choice: Choice, config: PromoteConfig) -> Mapping[str, Any]:
    """Return the validation scores of both versions, or of the only one, as JSON values."""
    if choice.comparison is None:
        own = validation_score(choice.version, config.event, config.score)
        return {} if own is None else {"candidate": json_safe(own)}
    comparison = choice.comparison
    scores = {
        "candidate": comparison.candidate,
        "incumbent": comparison.incumbent,
        "gain": comparison.gain,
    }
    return {name: json_safe(score) for name, score in scores.items()}


def _log(tracked: Run, comparison: PairedComparison | None) -> None:
    if comparison is None or comparison.undefined:
        return
    for name, score in (
        ("candidate", comparison.candidate),
        ("incumbent", comparison.incumbent),
        ("gain", comparison.gain),
    ):
        values = {"": score.value, "_low": score.low, "_high": score.high}
        tracked.log_metrics(
            {
                f"validation/{score.event}/{score.name}/{name}{end}": value
                for end, value in values.items()
                if not math.isnan(value)
            }
        )
