"""The candidates of ``promote -P version=best``, from the best validation score down.

Scores are compared within one dataset and split. A version is left out, with the reason, where its
score is undefined or missing, where it learned nothing, and where its postprocessing was fitted on
the validation regions while that of another version of the dataset was fitted out of fold.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flare.config.groups import PromotionScore
from flare.tracking.registry import RegisteredVersion, version_tags
from flare.tracking.tags import (
    FINGERPRINT_TAG,
    LEARNED_TAG,
    NOT_LEARNED_REASON_TAG,
    ON_VALIDATION,
    POSTPROCESSING_TAG,
    SPLIT_TAG,
    SYNTHETIC_TAG,
)
from flare.verification.scores import FLUX, LOWER_IS_BETTER, Score
from flare.workflows.evaluation.validation_forecasts import read_scores
from flare.workflows.fitting.registration import CHOICE_EVENT, CHOICE_SCORE, CHOICE_TAG

#: The scores for promotion that are of the flux and of no event.
OF_FLUX = ("log10_flux_mae", "ranked_probability_score")


@dataclass(frozen=True)
class Candidate:
    """A version that may be promoted as best, and the reason."""

    version: RegisteredVersion
    because: str


@dataclass(frozen=True)
class _Scored:
    version: RegisteredVersion
    tags: Mapping[str, str]
    score: float | None

    @property
    def group(self) -> tuple[str | None, str | None]:
        """Dataset and split: scores are compared within a group."""
        return self.tags.get(FINGERPRINT_TAG), self.tags.get(SPLIT_TAG)

    @property
    def fitted_on_validation(self) -> bool:
        """Whether its validation scores are optimistic."""
        return self.tags.get(POSTPROCESSING_TAG) == ON_VALIDATION


def candidates(
    versions: Sequence[RegisteredVersion],
    event: str,
    score: PromotionScore,
    *,
    production: RegisteredVersion | None,
) -> tuple[list[Candidate], list[str]]:
    """Return the versions that may be promoted, the best first, and why others are left out.

    Those of the newest version's dataset come first, and of these the ones that were validated on
    the same split as the newest of them; then those of the newest version's that is not left out,
    and of Production's, if these are other datasets.

    Parameters
    ----------
    versions
        All versions, the newest first.
    production
        The version that is Production now; None for none.
    """
    known = [_scored(one, event, score) for one in versions]
    left_out: dict[str, list[int]] = {}
    usable = []
    for one in known:
        reason = _flaw(one, known, event, score)
        if reason is None:
            usable.append(one)
        else:
            left_out.setdefault(reason, []).append(one.version.version)
    datasets = [one.group[0] for one in (*known[:1], *usable[:1])]
    if production is not None:
        datasets += [
            one.tags.get(FINGERPRINT_TAG)
            for one in known
            if one.version.version == production.version
        ]
    ranked = [
        candidate
        for dataset in dict.fromkeys(datasets)
        for group in dict.fromkeys(one.group for one in usable if one.group[0] == dataset)
        for candidate in _ranked([one for one in usable if one.group == group], event, score)
    ]
    return ranked, [f"{_numbered(numbers)}: {reason}" for reason, numbers in left_out.items()]


def learned_nothing(tags: Mapping[str, str]) -> str | None:
    """Return the reason where a version is tagged as one that learned nothing, else None."""
    if tags.get(LEARNED_TAG, "true").lower() != "false":
        return None
    reason = tags.get(NOT_LEARNED_REASON_TAG)
    return f"it learned nothing ({LEARNED_TAG}=false{f': {reason}' if reason else ''})"


def validation_score(version: RegisteredVersion, event: str, score: str) -> Score | None:
    """Return a score from the ``validation.json`` of a version's run; None where it has none."""
    card = read_scores(version)
    where = FLUX if score in OF_FLUX else event
    if card is None:
        return None
    return next((one for one in card.scores if (one.event, one.name) == (where, score)), None)


def named(event: str, score: str) -> str:
    """Return the name of a score in words, such as ``BSS of M1.0``."""
    short = {"brier_skill_score": "BSS", "true_skill_statistic": "TSS"}.get(score)
    name = short or score.replace("_", " ")
    return name if event == FLUX or score in OF_FLUX else f"{name} of {event}"


def _scored(version: RegisteredVersion, event: str, score: PromotionScore) -> _Scored:
    tags = version_tags(version)
    stored = validation_score(version, event, score)
    value = None if stored is None else stored.value
    if value is None and (event, score) == (CHOICE_EVENT, CHOICE_SCORE) and CHOICE_TAG in tags:
        value = float(tags[CHOICE_TAG])  # its run is gone
    return _Scored(version, tags, value)


def _flaw(one: _Scored, known: Iterable[_Scored], event: str, score: PromotionScore) -> str | None:
    """Return why a version cannot be the best, None where it can."""
    reason = learned_nothing(one.tags) or _unscored(one, event, score)
    if (
        reason is None
        and one.fitted_on_validation
        and any(
            not other.fitted_on_validation
            and other.group[0] == one.group[0]
            and learned_nothing(other.tags) is None
            and _unscored(other, event, score) is None
            for other in known
        )
    ):
        return (
            "its postprocessing was fitted on the validation regions (folds=0), so its scores "
            "there are optimistic, while that of others was fitted out of fold"
        )
    return reason


def _unscored(one: _Scored, event: str, score: PromotionScore) -> str | None:
    if one.score is None:
        return f"no validation {named(event, score)} is stored with its run"
    if math.isnan(one.score):
        return f"its validation {named(event, score)} is undefined, as without events there"
    return None


def _ranked(group: list[_Scored], event: str, score: PromotionScore) -> list[Candidate]:
    """Order versions that were validated on the same regions; of equal ones the newest is first."""
    sign = -1 if score in LOWER_IS_BETTER else 1
    ordered = sorted(group, key=lambda one: -sign * _value(one))
    synthetic = "synthetic " if group[0].tags.get(SYNTHETIC_TAG) == "true" else ""
    return [
        Candidate(
            one.version,
            f"its {synthetic}validation {named(event, score)}, {_value(one):.3f}, is "
            f"{'the best' if place == 1 else f'number {place}'} of the {len(ordered)} versions "
            "validated on the same regions",
        )
        for place, one in enumerate(ordered, start=1)
    ]


def _value(one: _Scored) -> float:
    assert one.score is not None
    return one.score


def _numbered(numbers: Sequence[int]) -> str:
    return f"version{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
