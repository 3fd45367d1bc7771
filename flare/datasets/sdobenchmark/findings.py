"""What the copies of a dataset are checked for, and how often something was met.

None of these stops the reader: it uses what it can and masks the rest. They are counted so that
whoever trains on a copy knows how it differs from the published one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Everything that is looked for, in the order in which it is told.
CHECKS: dict[str, str] = {
    "other_table_name": "table named otherwise than meta_data.csv, read",
    "no_header": "table without a header line, read",
    "second_table": "second table of the split, not read",
    "fractional_seconds": "row with fractional seconds in start or end",
    "other_window": "row whose window is not 12 h long",
    "shared_region": "active region in both splits",
    "no_folder": "row without a folder",
    "no_images": "folder without images",
    "no_row": "folder without a row, not read",
    "stray_file": "file outside of the samples' folders",
    "not_an_image": "file that is no image of a sample",
    "ignored_channel": "image of 1600 Å, ignored",
    "off_step": "image off its step by up to 15 min, used",
    "off_schedule": "image further off, masked",
    "duplicate": "further image of one step, not used",
    "flagged": "image flagged as doubtful, masked",
    "unreadable": "image that cannot be decoded, masked",
    "wrong_size": "image of another size than 256 x 256, masked",
    "not_grey": "image in colour, masked",
    "uniform": "image whose pixels all have one value, masked",
}


@dataclass(frozen=True)
class Finding:
    """How often something was met; ``example`` is the first sample, file or folder of it."""

    count: int = 0
    example: str | None = None

    def __bool__(self) -> bool:
        """Say whether it was met at all."""
        return self.count > 0

    def __add__(self, other: "Finding") -> "Finding":
        """Count both; the first example stands."""
        return Finding(
            self.count + other.count, other.example if self.example is None else self.example
        )


Findings = Mapping[str, Finding]


def gather(parts: Iterable[Findings]) -> dict[str, Finding]:
    """Add up findings, in the order of ``CHECKS`` and with those that were never met."""
    total = dict.fromkeys(CHECKS, Finding())
    for part in parts:
        for check, finding in part.items():
            total[check] += finding
    return total


def found(examples: Iterable[str]) -> Finding:
    """Count examples, and keep the first."""
    listed = list(examples)
    return Finding(len(listed), listed[0] if listed else None)
