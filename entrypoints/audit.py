"""Look for leaks in a dataset and its splits: `mlflow run . -e audit -P data_dir=...`."""

import sys

from entrypoints.command import run
from entrypoints.show_audit import show_audit
from flare.config import AuditConfig

INVALID = 1


def main(config: AuditConfig) -> None:
    """Audit, print the findings, and exit with 1 if one makes scores invalid."""
    from flare.workflows.data.audit import run as audit

    audited = audit(config)
    show_audit(audited.report)
    print(f"report: {audited.folder}/audit.md  (run {audited.run_id})")
    print(f"audit: {audited.report.line()}")
    if audited.report.invalid:
        sys.exit(INVALID)


if __name__ == "__main__":
    run("audit", AuditConfig, main)
