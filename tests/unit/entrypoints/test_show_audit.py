"""The audit in a terminal: every check with its verdict, and each finding in words."""

from dataclasses import replace

import pytest

from entrypoints.show_audit import show_audit
from flare.datasets.audit.checks import AuditFinding, Verdict, skipped
from flare.datasets.audit.report import AuditReport


@pytest.fixture
def report() -> AuditReport:
    return AuditReport(
        dataset="mine",
        synthetic=False,
        fingerprint="0123456789abcdef" * 4,
        split_fingerprint="feedfeedfeedfeed",
        findings=(
            AuditFinding("shared_regions", "test", Verdict.INVALID, 1, 91, ("11402",)),
            skipped("shared_regions", "validation", "too [few] regions"),
            AuditFinding("images_in_two_regions", "test_split", Verdict.OK, 0, 35_440),
            AuditFinding(
                "nowcasts", "test_split", Verdict.WARNING, 56, 176, ("a", "b"), "56 of 176 events"
            ),
            AuditFinding("timestamps_tell_label", "training_split", Verdict.OK, 0, 9, (), "0.51"),
        ),
    )


@pytest.fixture
def lines(report: AuditReport, capsys: pytest.CaptureFixture[str]) -> list[str]:
    show_audit(report)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_every_check_is_a_line_with_its_verdict_below_what_was_audited(lines):
    assert lines[0] == "data 'mine': audit of 0123456789abcdef, split feedfeedfeedfeed"
    assert max(map(len, lines)) <= 100
    rows = [" ".join(line.split()) for line in lines]
    assert "invalid active region on both sides training / test 1 91 active regions" in rows
    assert "skipped training / validation - -" in rows
    assert "ok image in two regions test split 0 35,440 images" in rows


def test_what_was_met_is_reported_with_examples_and_the_worst_first(lines):
    text = "\n".join(lines)
    assert "invalid: active region on both sides, training / test: 1.1%\n  A region on" in text
    assert "  e.g. 11402\n" in text
    assert "warning: flaring sample, index >= 1, test split: 31.8%; 56 of 176 events\n" in text
    assert text.index("invalid: active") < text.index("warning: flaring")


def test_reasons_and_measurements_of_the_others_are_remarks(lines):
    assert "time stamps predict the label, training split: 0.51" in lines
    remark = "skipped, too [few] regions: active region on both sides (training / validation)"
    assert remark in lines


def test_synthetic_data_are_called_so(report, capsys):
    show_audit(replace(report, synthetic=True))
    assert capsys.readouterr().out.startswith("SYNTHETIC DATA 'mine'")
