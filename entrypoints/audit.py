"""Look for leaks in a dataset and its splits: `mlflow run . -e audit -P data_dir=...`."""

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from entrypoints.command import run
from entrypoints.show import plain_table, wide_console
from flare.config import AuditConfig

if TYPE_CHECKING:
    from flare.datasets.audit.checks import AuditFinding
    from flare.datasets.audit.report import AuditReport

INVALID = 1

_STYLES = {"invalid": "bold red", "warning": "yellow", "ok": "green", "skipped": "dim"}


def main(config: AuditConfig) -> None:
    """Audit, print the findings, and exit with 1 if one makes scores invalid."""
    from flare.workflows.data.audit import run as audit

    audited = audit(config)
    show_audit(audited.report)
    print(f"report: {audited.folder}/audit.md  (run {audited.run_id})")
    print(f"audit: {audited.report.line()}")
    if audited.report.invalid:
        sys.exit(INVALID)


def show_audit(report: "AuditReport") -> None:
    """Print a table of all checks, and a paragraph for each that is not ok."""
    from flare.datasets.sdobenchmark.fingerprint import short

    console = wide_console()
    kind = "SYNTHETIC DATA" if report.synthetic else "data"
    split = f", split {report.split_fingerprint}" if report.split_fingerprint else ""
    console.print(
        f"{kind} {report.dataset!r}: audit of {short(report.fingerprint)}{split}", style="bold"
    )
    console.print(_table(report))
    for finding in (*report.invalid, *report.warnings):
        _show(console, finding)
    for remark in report.remarks():
        console.print(escape(remark), style="dim")


def _table(report: "AuditReport") -> Table:
    table = plain_table("", "check", "where", numbers=["count"])
    table.add_column("of")
    before = ""
    for one in report.findings:
        title = one.about.title
        verdict = f"[{_STYLES[one.verdict]}]{one.verdict}[/]"
        made = one.verdict != "skipped"
        count = f"{one.count:,}" if made else "-"
        of = f"{one.total:,} {one.about.unit}" if made else "-"
        table.add_row(verdict, "" if title == before else title, one.where, count, of)
        before = title
    return table


def _show(console: Console, finding: "AuditFinding") -> None:
    style = _STYLES[finding.verdict]
    head = f"[{style}]{finding.verdict}[/]: {finding.about.title}, {finding.where}"
    share = f"{finding.share:.1%}" if finding.share is not None else ""
    console.print(f"{head}: {share}{'; ' if finding.note and share else ''}{escape(finding.note)}")
    lines = [escape(finding.about.meaning), *(f"e.g. {escape(one)}" for one in finding.examples)]
    console.print(Padding("\n".join(lines), (0, 0, 1, 2)))


if __name__ == "__main__":
    run("audit", AuditConfig, main)
