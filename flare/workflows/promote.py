"""Entry point ``promote``: say which version is Production."""

import math
from dataclasses import dataclass

from flare.config import PromoteConfig
from flare.errors import ModelNotFound
from flare.tracking.names import FINGERPRINT_TAG, PRODUCTION, SPLIT_TAG, SYNTHETIC_TAG
from flare.tracking.registry import (
    RegisteredVersion,
    get_version,
    move_production,
    previous_production,
    production_version,
    registered,
    version_tags,
)
from flare.tracking.runs import start
from flare.workflows.registering import CHOICE_EVENT, CHOICE_TAG


@dataclass(frozen=True)
class Promoted:
    """The version that is Production now, and the number of the one before."""

    version: RegisteredVersion
    before: int | None
    because: str
    synthetic: bool

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
        ]


def run(config: PromoteConfig) -> Promoted:
    """Move the alias Production, and log a run that says so."""
    with start("promote", name=f"promote {config.version}") as tracked:
        tracked.log_params(config.model_dump())
        version, because = choose(config.version, config.model_name)
        before = move_production(version)
        tracked.set_tags({"flare.promoted_version": version.version, "flare.because": because})
        synthetic = version_tags(version).get(SYNTHETIC_TAG) == "true"
        return Promoted(version, before, because, synthetic)


def choose(wanted: str, model_name: str) -> tuple[RegisteredVersion, str]:
    """Find the version that ``best``, ``latest``, ``previous`` or a number means, and say why."""
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
    return _best(found)


def _best(found: list[RegisteredVersion]) -> tuple[RegisteredVersion, str]:
    """Choose among the versions that were validated on the same regions as the newest one."""
    tags = [version_tags(version) for version in found]
    same = tags[0].get(FINGERPRINT_TAG), tags[0].get(SPLIT_TAG)
    scores = [
        float(tag.get(CHOICE_TAG, -math.inf))
        if (tag.get(FINGERPRINT_TAG), tag.get(SPLIT_TAG)) == same
        else -math.inf
        for tag in tags
    ]
    best = max(scores)
    if best == -math.inf:
        return found[0], f"no version has a validation BSS of {CHOICE_EVENT}: took the newest"
    synthetic = "synthetic " if tags[0].get(SYNTHETIC_TAG) == "true" else ""
    rivals = sum(score > -math.inf for score in scores)
    return found[scores.index(best)], (
        f"its {synthetic}validation BSS of {CHOICE_EVENT}, {best:.3f}, is the highest of the "
        f"{rivals} versions validated on the same regions"
    )
