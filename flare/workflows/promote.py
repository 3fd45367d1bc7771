"""Entry point ``promote``: move the alias Production to a version, or back to an earlier one.

A version becomes Production unless the paired interval says that it is worse than the present one,
on validation samples that neither was trained on. Going back to the previous version needs no
comparison. Every move is recorded in the registry.
"""

from dataclasses import dataclass, replace

from flare.config import PromoteConfig
from flare.errors import ModelNotFound, PromotionRefused
from flare.tracking.promotions import (
    Promotion,
    move_production,
    previous_production,
    promotion_history,
)
from flare.tracking.registry import (
    RegisteredVersion,
    connect,
    get_version,
    production_version,
    registered,
    version_tags,
)
from flare.tracking.run import Run
from flare.tracking.runs import start
from flare.tracking.tags import PRODUCTION, SYNTHETIC_TAG
from flare.workflows.evaluation.promotion import (
    FORCE_ADVICE,
    Choice,
    NotComparable,
    candidates,
    checked,
    compared_lines,
    scores_of,
)
from flare.workflows.fitting.validation_forecasts import PairedComparison


@dataclass(frozen=True)
class Promoted:
    """The version that is Production now, the number of the previous one, and their comparison.

    ``notes`` are further lines for the user, such as the versions left out.
    """

    version: RegisteredVersion
    before: int | None
    because: str
    synthetic: bool
    comparison: PairedComparison | None = None
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the result as lines of text."""
        before = "nothing" if self.before is None else f"version {self.before}"
        if self.before == self.version.version:
            before = "the same version"
        trained = ", trained on SYNTHETIC data" if self.synthetic else ""
        return [
            f"{PRODUCTION} of {self.version.name} is version {self.version.version} "
            f"({self.version.kind}{trained}), before: {before}",
            self.because,
            *([] if self.comparison is None else compared_lines(self.comparison, self.synthetic)),
            *self.notes,
        ]


def run(config: PromoteConfig) -> Promoted:
    """Move the alias Production, and log a run that says so; or raise PromotionRefused."""
    with start("promote", name=f"promote {config.version}") as tracked:
        tracked.log_config(config)
        incumbent = _production(config.model_name)
        choice = _choose(config, incumbent, tracked)
        version = choice.version
        if _production(version.name) != incumbent:
            raise PromotionRefused(
                f"{PRODUCTION} of {version.name!r} was moved by another process meanwhile; look, "
                "and promote again"
            )
        before = move_production(
            version,
            why="; ".join([choice.because, *choice.notes]),
            rollback=config.version == "previous",
            run_id=tracked.id,
            scores=scores_of(choice, config),
        )
        tracked.set_tags(
            {"flare.promoted_version": version.version, "flare.because": choice.because}
        )
        synthetic = version_tags(version).get(SYNTHETIC_TAG) == "true"
        promoted = Promoted(
            version, before, choice.because, synthetic, choice.comparison, choice.notes
        )
        tracked.describe("\n\n".join(promoted.lines()))
        return promoted


def history(config: PromoteConfig) -> list[Promotion]:
    """Return all promotions of the registered model, the oldest first."""
    connect()
    return promotion_history(config.model_name)


def _choose(config: PromoteConfig, incumbent: RegisteredVersion | None, tracked: Run) -> Choice:
    """Return the version that ``best``, ``latest``, ``previous`` or a number means, checked."""
    if config.version == "previous":
        return _previous(config.model_name)
    if config.version == "best":
        return _best(config, incumbent, tracked)
    if config.version == "latest":
        choice = Choice(registered(config.model_name)[0], "it is the newest")
    else:
        version = get_version(config.model_name, int(config.version))
        choice = Choice(version, "asked for by its number")
    return checked(choice, config, incumbent, tracked)


def _previous(model_name: str) -> Choice:
    current = production_version(model_name)
    before = previous_production(current)
    if before is None:
        raise ModelNotFound(
            f"version {current.version} of {model_name!r} is the first that was {PRODUCTION}; "
            "pass -P version=NUMBER"
        )
    return Choice(get_version(model_name, before), f"it was {PRODUCTION} before {current.version}")


def _best(config: PromoteConfig, incumbent: RegisteredVersion | None, tracked: Run) -> Choice:
    """Return the best version that can be compared with Production and is not worse.

    If all that rank before Production are worse on the regions in common, the first refusal is
    raised: Production stays.
    """
    ranked, left_out = candidates(registered(config.model_name), config, incumbent)
    worse: list[PromotionRefused] = []
    for candidate in ranked:
        if worse and candidate.version == incumbent:
            break
        try:
            choice = checked(candidate, config, incumbent, tracked)
        except PromotionRefused as refusal:
            left_out.append(str(refusal).removesuffix(FORCE_ADVICE))
            if not isinstance(refusal, NotComparable):
                worse.append(refusal)
            continue
        notes = (*choice.notes, *(f"left out {line}" for line in left_out))
        return replace(choice, notes=notes)
    if worse:
        raise worse[0]
    raise PromotionRefused(
        f"no version of {config.model_name!r} can be promoted as the best: {'; '.join(left_out)}; "
        "pass -P version=NUMBER, or another -P event= or -P score="
    )


def _production(model_name: str) -> RegisteredVersion | None:
    try:
        return production_version(model_name)
    except ModelNotFound:
        return None
