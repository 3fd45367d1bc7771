"""The checks of an audit, what each one means, and the findings that they return."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

MAX_EXAMPLES = 3


class Verdict(StrEnum):
    """What a finding means for a score."""

    INVALID = "invalid"  # the score does not measure skill
    WARNING = "warning"  # to be reported with the score
    OK = "ok"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """A check: ``title`` names the problem, ``unit`` the counted items, ``meaning`` the remedy.

    ``verdict`` is that of a finding with any case, where the check itself does not say otherwise.
    """

    title: str
    unit: str
    meaning: str
    verdict: Verdict = Verdict.INVALID


#: Every check, in the order in which it is reported.
LEAK_CHECKS: dict[str, Check] = {
    "shared_regions": Check(
        "active region on both sides",
        "active regions",
        "A region on both sides lets a model recognise what it should forecast; keep all samples "
        "of a region on one side.",
    ),
    "siblings_apart": Check(
        "sibling samples apart",
        "samples",
        "Samples of one range, or of one region with overlapping 36 h, share images and the label; "
        "keep them on one side.",
    ),
    "neighbours_apart": Check(
        "neighbouring regions apart",
        "neighbouring pairs",
        "Regions of close numbers visible at the same time may share pixels and flares; report it "
        "with scores, and keep them together where the split is yours.",
        Verdict.WARNING,
    ),
    "same_ids": Check(
        "sample on both sides",
        "samples",
        "The same id on both sides is a sample that was trained on and scored; remove it from one.",
    ),
    "identical_images": Check(
        "image on both sides",
        "images",
        "The same pixels on both sides are a training image that is scored; remove one of the two "
        "samples, or the files.",
    ),
    "images_in_two_regions": Check(
        "image in two regions",
        "images",
        "The same pixels under two region numbers mean copied or mixed-up files; look at them, and "
        "delete the wrong ones: an absent image is masked.",
        Verdict.WARNING,
    ),
    "uniform_images": Check(
        "uniform image as present",
        "images",
        "An image of a single grey level is a filled gap, not a measurement (zeros are "
        "-250 G in a magnetogram); make the pack with this project, whose reader masks such files, "
        "or delete the file: an absent image is masked.",
    ),
    "masked_uniform_images": Check(
        "uniform image, masked",
        "images",
        "A file whose pixels all have one value is a filled gap or a dark frame; no model gets it, "
        "but fewer observations exist than files: report it with the score.",
        Verdict.WARNING,
    ),
    "nowcasts": Check(
        "flaring sample, index >= 1",
        "flaring samples",
        "The window of such a sample may end at the flare itself, so that it is a nowcast; report "
        "scores of the forecast-clean subset too (flaring samples of index 0 only).",
        Verdict.WARNING,
    ),
    "duplicate_samples": Check(
        "sample that occurs twice",
        "samples",
        "The same region and window under several ids count several times in every score; keep one "
        "of them.",
        Verdict.WARNING,
    ),
    "contradicting_labels": Check(
        "labels that contradict",
        "samples",
        "The same region and forecast window cannot have two peak fluxes; find out which is right.",
        Verdict.WARNING,
    ),
    "timestamps_tell_label": Check(
        "time stamps predict the label",
        "samples",
        "How ids and times are written predicts the label by itself; never give id, start or time "
        "of day to a model.",
        Verdict.WARNING,
    ),
    "feature_names": Check(
        "feature named after time or id",
        "columns",
        "Time, id and label reveal the answer in this dataset; remove a column named after one, or "
        "rename it if it holds nothing of the kind.",
    ),
    "feature_values": Check(
        "feature that reveals time or id",
        "columns",
        "A column that orders samples by time, region or label lets a model look up the answer; "
        "remove it.",
    ),
}

#: Checks between two sides of a split.
BETWEEN_SIDES = tuple(LEAK_CHECKS)[:5]

#: Names of the places of checks.
PLACES = {
    "test": "training / test",
    "validation": "training / validation",
    "training_split": "training split",
    "test_split": "test split",
    "dataset": "all samples",
    "project": "this project's features",
    "features_csv": "features_csv",
}


@dataclass(frozen=True)
class AuditFinding:
    """The result of one check in one place.

    ``check`` is a key of ``LEAK_CHECKS``; ``place`` is where it was made, such as ``test`` for the
    boundary between training and test. ``count`` of ``total`` are affected, ``examples`` names the
    first of them, ``figures`` has further numbers, ``note`` gives them in words or the reason why
    the check was skipped.
    """

    check: str
    place: str
    verdict: Verdict
    count: int = 0
    total: int = 0
    examples: tuple[str, ...] = ()
    note: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its metrics: check and place."""
        return f"{self.check}/{self.place}"

    @property
    def about(self) -> Check:
        """What the check is: title, unit, meaning."""
        return LEAK_CHECKS[self.check]

    @property
    def where(self) -> str:
        """The place in words."""
        return PLACES[self.place]

    @property
    def share(self) -> float | None:
        """``count`` of ``total``; None if there is none."""
        return self.count / self.total if self.total else None


def audit_finding(
    check: str,
    place: str,
    examples: Iterable[str],
    *,
    total: int,
    count: int | None = None,
    verdict: Verdict | None = None,
    note: str = "",
    figures: Mapping[str, float] | None = None,
) -> AuditFinding:
    """Return a finding: OK without a case, else with ``verdict``, by default that of the check.

    ``count`` is the number of cases; by default every example is one.
    """
    if count is None:
        examples = list(examples)
        count = len(examples)
    verdict = (verdict or LEAK_CHECKS[check].verdict) if count else Verdict.OK
    first = tuple(islice(examples, MAX_EXAMPLES))
    return AuditFinding(check, place, verdict, count, total, first, note, figures or {})


def skipped(check: str, place: str, why: str) -> AuditFinding:
    """Return the finding of a check that could not be made."""
    return AuditFinding(check, place, Verdict.SKIPPED, note=why)
