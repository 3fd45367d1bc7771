"""Entry point ``promote``: say which version is Production.

A version becomes Production unless the paired interval says that it is worse than the one that is:
on validation samples that both had held out. Going back to the version before needs no comparison.
"""

import math
from dataclasses import dataclass

from flare.config import PromoteConfig
from flare.errors import ModelNotFound, PromotionRefused, VerificationInvalid
from flare.parameters import PromotionScore
from flare.tracking.names import (
    FINGERPRINT_TAG,
    FORCED_TAG,
    ON_VALIDATION,
    PRODUCTION,
    SPLIT_TAG,
    SYNTHETIC_TAG,
    TUNED_TAG,
)
from flare.tracking.registry import (
    RegisteredVersion,
    get_version,
    move_production,
    previous_production,
    production_version,
    registered,
    tag_version,
    version_tags,
)
from flare.tracking.runs import Run, start
from flare.verification.named_scores import LOWER_IS_BETTER
from flare.verification.scorecard import FLUX, Score
from flare.workflows.held_out import Judged, judge, read_held_out, read_scores
from flare.workflows.registering import CHOICE_EVENT, CHOICE_SCORE, CHOICE_TAG

#: Of the scores that versions can be compared by, those of the flux and of no event.
_OF_FLUX = ("log10_flux_mae", "ranked_probability_score")


@dataclass(frozen=True)
class Promoted:
    """The version that is Production now, the number of the one before, and what was compared."""

    version: RegisteredVersion
    before: int | None
    because: str
    synthetic: bool
    judged: Judged | None = None

    def lines(self) -> list[str]:
        """Return what to tell the user."""
        was = "nothing" if self.before is None else f"version {self.before}"
        if self.before == self.version.version:
            was = "the same version"
        trained = ", trained on SYNTHETIC data" if self.synthetic else ""
        return [
            f"{PRODUCTION} of {self.version.name} is version {self.version.version} "
            f"({self.version.kind}{trained}), before: {was}",
            self.because,
            *([] if self.judged is None else told(self.judged, self.synthetic)),
        ]


def run(config: PromoteConfig) -> Promoted:
    """Move the alias Production, and log a run that says so; or refuse, and say why."""
    with start("promote", name=f"promote {config.version}") as tracked:
        tracked.log_params(config.model_dump())
        version, because = choose(config)
        synthetic = version_tags(version).get(SYNTHETIC_TAG) == "true"
        judged, force = None, config.force.strip()
        incumbent = _production(version.name)
        if config.version != "previous":
            try:
                judged = _compared(version, incumbent, config)
                _log(tracked, judged)
                _refuse_worse(judged, version, synthetic=synthetic)
            except PromotionRefused as refusal:
                if not force:
                    raise
                because = f"{because}; forced: {force} (else refused: {refusal})"
                tag_version(version, {FORCED_TAG: force})
                tracked.set_tags({FORCED_TAG: force})
        if _production(version.name) != incumbent:
            raise PromotionRefused(
                f"{PRODUCTION} of {version.name!r} was moved by somebody else meanwhile; look, and "
                "promote again"
            )
        before = move_production(version)
        tracked.set_tags({"flare.promoted_version": version.version, "flare.because": because})
        promoted = Promoted(version, before, because, synthetic, judged)
        tracked.describe("\n\n".join(promoted.lines()))
        return promoted


def choose(config: PromoteConfig) -> tuple[RegisteredVersion, str]:
    """Find the version that ``best``, ``latest``, ``previous`` or a number means, and say why."""
    wanted, model_name = config.version, config.model_name
    if wanted == "previous":
        current = production_version(model_name)
        before = previous_production(current)
        if before is None:
            raise ModelNotFound(
                f"version {current.version} of {model_name!r} is the first that was {PRODUCTION}; "
                "pass -P version=NUMBER"
            )
        return get_version(model_name, before), f"it was {PRODUCTION} before {current.version}"
    if wanted.isdecimal():
        return get_version(model_name, int(wanted)), "asked for by its number"
    found = registered(model_name)
    if wanted == "latest":
        return found[0], "it is the newest"
    return _best(found, config.event, config.score)


def _best(
    found: list[RegisteredVersion], event: str, score: PromotionScore
) -> tuple[RegisteredVersion, str]:
    """Choose among the versions that were validated on the same regions as the newest one."""
    tags = [version_tags(version) for version in found]
    same = tags[0].get(FINGERPRINT_TAG), tags[0].get(SPLIT_TAG)
    sign = -1 if score in LOWER_IS_BETTER else 1
    values = [
        sign * _validation(version, tag, event, score)
        if (tag.get(FINGERPRINT_TAG), tag.get(SPLIT_TAG)) == same
        else math.nan
        for version, tag in zip(found, tags, strict=True)
    ]
    known = [value for value in values if not math.isnan(value)]
    name = _named(event, score)
    if not known:
        return found[0], f"no version has a validation {name}: took the newest"
    synthetic = "synthetic " if tags[0].get(SYNTHETIC_TAG) == "true" else ""
    return found[values.index(max(known))], (
        f"its {synthetic}validation {name}, {sign * max(known):.3f}, is the best of the "
        f"{len(known)} versions validated on the same regions"
    )


def _validation(
    version: RegisteredVersion, tags: dict[str, str], event: str, score: PromotionScore
) -> float:
    card = read_scores(version)
    if card is None:  # of a run that is gone only the headline is left, as a tag of the version
        headline = (event, score) == (CHOICE_EVENT, CHOICE_SCORE)
        return float(tags.get(CHOICE_TAG, math.nan)) if headline else math.nan
    try:
        return card.value(FLUX if score in _OF_FLUX else event, score)
    except VerificationInvalid:  # a model of fewer events
        return math.nan


def _production(model_name: str) -> RegisteredVersion | None:
    try:
        return production_version(model_name)
    except ModelNotFound:
        return None


def _compared(
    version: RegisteredVersion, incumbent: RegisteredVersion | None, config: PromoteConfig
) -> Judged | None:
    """Compare with Production; None where there is none, or it is this very version."""
    if incumbent is None or incumbent.version == version.version:
        return None
    pair = f"version {version.version} cannot be compared with {PRODUCTION}, {incumbent.version}"
    advice = "; promote it all the same with -P version=N -P force=REASON"
    data = [version_tags(one).get(FINGERPRINT_TAG) for one in (version, incumbent)]
    if data[0] != data[1]:
        raise PromotionRefused(f"{pair}: they were trained on different datasets{advice}")
    tuned = [version_tags(one).get(TUNED_TAG) == ON_VALIDATION for one in (version, incumbent)]
    if tuned[0] and not tuned[1]:
        raise PromotionRefused(
            f"{pair}: it was tuned on the validation regions (folds=0), so its scores there flatter"
            f"{advice}"
        )
    kept = [read_held_out(one) for one in (version, incumbent)]
    if kept[0] is None or kept[1] is None:
        without = version.version if kept[0] is None else incumbent.version
        raise PromotionRefused(f"{pair}: no validation forecasts of {without} are kept{advice}")
    try:
        return judge(
            kept[0],
            kept[1],
            event=FLUX if config.score in _OF_FLUX else config.event,
            score_name=config.score,
            lower_is_better=config.score in LOWER_IS_BETTER,
            resamples=config.resamples,
        )
    except VerificationInvalid as error:
        raise PromotionRefused(f"{pair}: {error}{advice}") from error


def _refuse_worse(judged: Judged | None, version: RegisteredVersion, *, synthetic: bool) -> None:
    if judged is None or not (judged.worse or judged.undefined):
        return
    what = "cannot be compared" if judged.undefined else "is worse than"
    raise PromotionRefused(
        f"version {version.version} {what} {PRODUCTION}: {'; '.join(told(judged, synthetic))}; "
        "it stays as it is; to promote all the same add -P force=REASON"
    )


def told(judged: Judged, synthetic: bool) -> list[str]:
    """Say both scores and their difference, a line each."""
    name = _named(judged.candidate.event, judged.candidate.name)
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


def _named(event: str, score: str) -> str:
    short = {"brier_skill_score": "BSS", "true_skill_statistic": "TSS"}.get(score)
    name = short or score.replace("_", " ")
    return name if event == FLUX or score in _OF_FLUX else f"{name} of {event}"


def _log(tracked: Run, judged: Judged | None) -> None:
    if judged is None:
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
