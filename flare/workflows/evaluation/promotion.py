"""Which version may become Production, compared on validation samples.

``candidates`` ranks the versions for ``promote -P version=best``; ``checked`` compares one with
Production. It is refused where the paired interval lies below 0, where the two cannot be compared,
and where it learned nothing; ``force`` with a reason overrules each.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flare.config import PromoteConfig
from flare.errors import PromotionRefused, VerificationInvalid
from flare.tracking.registry import RegisteredVersion, tag_version, version_tags
from flare.tracking.run import Run
from flare.tracking.tags import (
    FINGERPRINT_TAG,
    FORCED_TAG,
    LEARNED_TAG,
    NOT_LEARNED_REASON_TAG,
    ON_VALIDATION,
    POSTPROCESSING_TAG,
    PRODUCTION,
    SPLIT_TAG,
    SYNTHETIC_TAG,
)
from flare.verification.scores import FLUX, Score, event_of, info_of, json_safe, title_of
from flare.workflows.fitting.registration import CHOICE_EVENT, CHOICE_SCORE, CHOICE_TAG
from flare.workflows.fitting.validation_forecasts import (
    PairedComparison,
    compare_paired,
    read_scores,
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


@dataclass(frozen=True)
class _Candidate:
    """A version with its tags and its validation score; ``flaw`` says why it cannot be the best."""

    version: RegisteredVersion
    tags: Mapping[str, str]
    score: float
    flaw: str | None

    @property
    def dataset(self) -> str | None:
        return self.tags.get(FINGERPRINT_TAG)

    @property
    def group(self) -> tuple[str | None, str | None]:
        """Dataset and split: scores are compared within a group."""
        return self.dataset, self.tags.get(SPLIT_TAG)


def candidates(
    versions: Sequence[RegisteredVersion],
    config: PromoteConfig,
    production: RegisteredVersion | None,
) -> tuple[list[Choice], list[str]]:
    """Return the versions that may be promoted, the best first, and why others are left out.

    Those of the newest version's dataset come first, and of these the ones that were validated on
    the same split as the newest of them; then those of the newest version's that is not left out,
    and of Production's, if these are other datasets. A version is left out where its score is
    undefined or missing, where it learned nothing, and where its postprocessing was fitted on the
    validation regions while that of another version of the dataset was fitted out of fold.

    ``versions`` are all, the newest first; ``production`` is the one that is Production now.
    """
    known = [_candidate(one, config) for one in versions]
    out_of_fold = {
        one.dataset for one in known if one.flaw is None and not _fitted_on_validation(one.tags)
    }
    usable: list[_Candidate] = []
    left_out: dict[str, list[str]] = {}
    for one in known:
        flaw = one.flaw
        if flaw is None and _fitted_on_validation(one.tags) and one.dataset in out_of_fold:
            flaw = (
                "its postprocessing was fitted on the validation regions (folds=0), so its scores "
                "there are optimistic, while that of others was fitted out of fold"
            )
        if flaw is None:
            usable.append(one)
        else:
            left_out.setdefault(flaw, []).append(str(one.version.version))
    datasets = [one.dataset for one in (*known[:1], *usable[:1])]
    datasets += [one.dataset for one in known if one.version == production]
    groups = [
        group
        for dataset in dict.fromkeys(datasets)
        for group in dict.fromkeys(one.group for one in usable if one.dataset == dataset)
    ]
    ranked = [
        choice
        for group in groups
        for choice in _ranked([one for one in usable if one.group == group], config)
    ]
    return ranked, [
        f"version{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}: {flaw}"
        for flaw, numbers in left_out.items()
    ]


def _candidate(version: RegisteredVersion, config: PromoteConfig) -> _Candidate:
    tags, name = version_tags(version), _named(config.event, config.score)
    stored = validation_score(version, config.event, config.score)
    value = None if stored is None else stored.value
    by_default = (config.event, config.score) == (CHOICE_EVENT, CHOICE_SCORE)
    if value is None and by_default and CHOICE_TAG in tags:
        value = float(tags[CHOICE_TAG])  # its run is gone
    flaw = _learned_nothing(tags)
    if flaw is None and value is None:
        flaw = f"no validation {name} is stored with its run"
    elif flaw is None and value is not None and math.isnan(value):
        flaw = f"its validation {name} is undefined, as without events there"
    return _Candidate(version, tags, math.nan if value is None else value, flaw)


def validation_score(version: RegisteredVersion, event: str, score: str) -> Score | None:
    """Return a score from the ``validation.json`` of a version's run; None where it has none."""
    card = read_scores(version)
    key = event_of(event, score), score
    if card is None:
        return None
    return next((one for one in card.scores if (one.event, one.name) == key), None)


def _ranked(group: list[_Candidate], config: PromoteConfig) -> list[Choice]:
    """Order versions that were validated on the same regions; of equal ones the newest is first."""
    sign = 1 if info_of(config.score).lower_is_better else -1
    synthetic = "synthetic " if group[0].tags.get(SYNTHETIC_TAG) == "true" else ""
    return [
        Choice(
            one.version,
            f"its {synthetic}validation {_named(config.event, config.score)}, {one.score:.3f}, is "
            f"{'the best' if place == 1 else f'number {place}'} of the {len(group)} versions "
            "validated on the same regions",
        )
        for place, one in enumerate(sorted(group, key=lambda one: sign * one.score), start=1)
    ]


def checked(
    choice: Choice, config: PromoteConfig, production: RegisteredVersion | None, tracked: Run
) -> Choice:
    """Compare a version with Production; refuse it if it is worse, unless forced."""
    version, because = choice.version, choice.because
    comparison, force = None, config.force.strip()
    notes: tuple[str, ...] = ()
    try:
        flaw = _learned_nothing(version_tags(version))
        if flaw is not None:
            raise PromotionRefused(f"version {version.version} is not promoted: {flaw}")
        if production is not None and production.version != version.version:
            comparison = _compared(version, production, config)
            _log(tracked, comparison)
            notes = _refuse_worse(comparison, version, production)
    except PromotionRefused as error:
        refusal = type(error)(f"{error}{FORCE_ADVICE}")
        if not force:
            raise refusal from error
        because = f"{because}; forced: {force} (else refused: {refusal})"
        tag_version(version, {FORCED_TAG: force})
        tracked.set_tags({FORCED_TAG: force})
    return Choice(version, because, comparison, notes)


def _compared(
    version: RegisteredVersion, production: RegisteredVersion, config: PromoteConfig
) -> PairedComparison:
    """Compare a version with Production on the validation samples of both."""
    pair = f"version {version.version} cannot be compared with {PRODUCTION}, {production.version}"
    own, other = version_tags(version), version_tags(production)
    if own.get(FINGERPRINT_TAG) != other.get(FINGERPRINT_TAG):
        raise NotComparable(f"{pair}: they were trained on different datasets")
    if _fitted_on_validation(own) and not _fitted_on_validation(other):
        raise NotComparable(
            f"{pair}: its postprocessing was fitted on the validation regions (folds=0), so its "
            "scores there are optimistic"
        )
    forecasts = []
    for one in (version, production):
        stored = read_validation_forecasts(one)
        if stored is None:
            raise NotComparable(
                f"{pair}: no validation forecasts of {one.version} are stored with its run"
            )
        forecasts.append(stored)
    try:
        return compare_paired(
            *forecasts,
            event=event_of(config.event, config.score),
            score_name=config.score,
            resamples=config.resamples,
        )
    except VerificationInvalid as error:
        raise NotComparable(f"{pair}: {error}") from error


def _refuse_worse(
    comparison: PairedComparison, version: RegisteredVersion, production: RegisteredVersion
) -> tuple[str, ...]:
    """Refuse a version that is worse; return notes where it is promoted all the same."""
    if not (comparison.worse or comparison.undefined):
        return ()
    tags = version_tags(version)
    optimistic = _fitted_on_validation(version_tags(production)) and not _fitted_on_validation(tags)
    if comparison.worse and optimistic:
        return (
            f"the postprocessing of {PRODUCTION}, {production.version}, was fitted on the "
            "validation regions (folds=0): its score there is optimistic, and does not keep out a "
            "version with postprocessing fitted out of fold",
        )
    what = "cannot be compared with" if comparison.undefined else "is worse than"
    scores = "; ".join(compared_lines(comparison, tags.get(SYNTHETIC_TAG) == "true"))
    refusal = NotComparable if comparison.undefined else PromotionRefused
    raise refusal(f"version {version.version} {what} {PRODUCTION}: {scores}; it stays as it is")


def compared_lines(comparison: PairedComparison, synthetic: bool) -> list[str]:
    """Return both scores and their difference, a line each."""
    name = _named(comparison.candidate.event, comparison.candidate.name)
    data = "synthetic " if synthetic else ""
    sign = "better" if comparison.gain.value >= 0 else "worse"
    return [
        f"{data}validation {name} of the candidate {comparison.candidate.text()}, "
        f"of {PRODUCTION} {comparison.incumbent.text()}",
        f"the candidate is {sign} by {comparison.gain.text('+.3f')}, paired over "
        f"{comparison.n_active_regions} active regions, {comparison.gain.n} samples with "
        f"{comparison.gain.n_events} events",
    ]


def scores_of(choice: Choice, config: PromoteConfig) -> Mapping[str, Any]:
    """Return the validation scores of both versions, or of the only one, as JSON values."""
    if choice.comparison is None:
        own = validation_score(choice.version, config.event, config.score)
        return {} if own is None else {"candidate": json_safe(own)}
    return {name: json_safe(score) for name, score in choice.comparison.scores().items()}


def _log(tracked: Run, comparison: PairedComparison) -> None:
    if comparison.undefined:
        return
    for name, score in comparison.scores().items():
        ends = {"": score.value, "_low": score.low, "_high": score.high}
        tracked.log_metrics(
            {
                f"validation/{score.event}/{score.name}/{name}{end}": value
                for end, value in ends.items()
                if not math.isnan(value)
            }
        )


def _learned_nothing(tags: Mapping[str, str]) -> str | None:
    """Return the reason where a version is tagged as one that learned nothing, else None."""
    if tags.get(LEARNED_TAG, "true").lower() != "false":
        return None
    reason = tags.get(NOT_LEARNED_REASON_TAG)
    return f"it learned nothing ({LEARNED_TAG}=false{f': {reason}' if reason else ''})"


def _fitted_on_validation(tags: Mapping[str, str]) -> bool:
    """Return True if the validation scores of a version are optimistic."""
    return tags.get(POSTPROCESSING_TAG) == ON_VALIDATION


def _named(event: str, score: str) -> str:
    """Return the name of a score in words, such as ``BSS of M1.0``."""
    name = title_of(score)
    return name if event_of(event, score) == FLUX else f"{name} of {event}"
