"""The report of an audit, as numbers and as text."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from flare.datasets.audit.checks import AuditFinding, Verdict
from flare.datasets.sdobenchmark.fingerprint import short


@dataclass(frozen=True)
class AuditReport:
    """The result of an audit; ``split_fingerprint`` is empty where there is no split.

    Findings are in the order of ``LEAK_CHECKS``.
    """

    dataset: str
    synthetic: bool
    fingerprint: str
    split_fingerprint: str
    findings: tuple[AuditFinding, ...]

    def of(self, verdict: Verdict) -> tuple[AuditFinding, ...]:
        """Return the findings with this verdict."""
        return tuple(one for one in self.findings if one.verdict is verdict)

    @property
    def invalid(self) -> tuple[AuditFinding, ...]:
        """Findings that make a score on these data invalid."""
        return self.of(Verdict.INVALID)

    @property
    def warnings(self) -> tuple[AuditFinding, ...]:
        """Findings to be reported with a score."""
        return self.of(Verdict.WARNING)

    @property
    def verdict(self) -> str:
        """``valid`` or ``invalid``."""
        return "invalid" if self.invalid else "valid"

    def line(self) -> str:
        """Return the verdict in one line."""
        counts = Counter(one.verdict for one in self.findings)
        if not self.invalid:
            n = counts[Verdict.WARNING]
            warnings = [f"{n} warning{'s' if n > 1 else ''}"] if n else []
            others = [f"{counts[v]} {v}" for v in (Verdict.OK, Verdict.SKIPPED) if counts[v]]
            return f"valid: no leak that makes a score invalid ({', '.join([*warnings, *others])})"
        names = ", ".join(f"{one.about.title} ({one.where})" for one in self.invalid)
        return f"INVALID: scores mean nothing until this is corrected: {names}"

    def remarks(self) -> list[str]:
        """Return the notes of checks without a finding, and why checks were skipped."""
        notes = [
            f"{one.about.title}, {one.where}: {one.note}" for one in self.of(Verdict.OK) if one.note
        ]
        reasons: dict[str, list[str]] = {}
        for one in self.of(Verdict.SKIPPED):
            reasons.setdefault(one.note, []).append(f"{one.about.title} ({one.where})")
        return [*notes, *(f"skipped, {why}: {', '.join(names)}" for why, names in reasons.items())]

    def metrics(self) -> dict[str, float]:
        """Return the counts and further numbers of all checks that were made."""
        metrics: dict[str, float] = {}
        for one in self.findings:
            if one.verdict is not Verdict.SKIPPED:
                metrics[f"audit/{one.name}"] = one.count
                metrics |= {f"audit/{one.name}/{key}": n for key, n in one.figures.items()}
        return metrics

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "dataset": self.dataset,
            "synthetic": self.synthetic,
            "fingerprint": self.fingerprint,
            "split_fingerprint": self.split_fingerprint,
            "verdict": self.verdict,
            "findings": [
                {
                    "name": one.name,
                    "title": one.about.title,
                    "verdict": str(one.verdict),
                    "count": one.count,
                    "total": one.total,
                    "unit": one.about.unit,
                    "share": one.share,
                    "examples": list(one.examples),
                    "note": one.note,
                    "figures": dict(one.figures),
                    "meaning": one.about.meaning,
                }
                for one in self.findings
            ],
        }

    def markdown(self) -> str:
        """Return the report in Markdown: the verdict, a table of all checks, and each finding."""
        kind = "SYNTHETIC data" if self.synthetic else "data"
        lines = [
            f"# Audit of {kind} {self.dataset}",
            "",
            f"**{self.line()}**",
            "",
            f"Dataset {short(self.fingerprint)}, split {self.split_fingerprint or 'none'}.",
            "",
            "| verdict | check | where | count | of |",
            "|---|---|---|--:|--:|",
        ]
        for one in self.findings:
            cells = f"{one.count:,} | {one.total:,} {one.about.unit}"
            if one.verdict is Verdict.SKIPPED:
                cells = "- | -"
            lines.append(f"| {one.verdict} | {one.about.title} | {one.where} | {cells} |")
        for one in (*self.invalid, *self.warnings):
            share = f" ({one.share:.1%})" if one.share is not None else ""
            note = f"; {one.note}" if one.note else ""
            counted = f"{one.count:,} of {one.total:,} {one.about.unit}{share}{note}."
            head = f"## {one.verdict}: {one.about.title}, {one.where}"
            lines += ["", head, "", counted, "", one.about.meaning]
            if one.examples:
                lines += ["", *(f"- `{example}`" for example in one.examples)]
        remarks = self.remarks()
        if remarks:
            lines += ["", "## Remarks", "", *(f"- {remark}" for remark in remarks)]
        return "\n".join([*lines, ""])
