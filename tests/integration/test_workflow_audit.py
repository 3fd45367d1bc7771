"""The audit of a dataset on disk: what is written and logged, and leaks of all kinds planted."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flare.config import AuditConfig
from flare.datasets.audit.checks import LEAK_CHECKS, Verdict
from flare.datasets.pack.reader import open_pack
from flare.datasets.pack.writer import ensure_pack
from flare.datasets.sdobenchmark.labels import read_table
from flare.datasets.splits import Split, split_by_region
from flare.errors import ConfigInvalid
from flare.workflows.data import audit
from flare.workflows.data.audit import audit_of


@pytest.fixture(scope="module")
def audited(home):
    from workplace import working_in

    with working_in(home.folder):
        return audit.run(AuditConfig(**home.small, output_dir=home.folder / "audit"))


@pytest.fixture
def looked(at_home, tmp_path):
    """Return a function that audits with some settings."""

    def look(data_dir: Path = at_home.data, **settings) -> audit.Audit:
        given = at_home.small | {"data_dir": data_dir, "output_dir": tmp_path / "out"}
        return audit.run(AuditConfig(**given | {"features": False} | settings))

    return look


def test_a_clean_set_is_valid_and_only_its_nowcasts_are_a_warning(audited):
    report = audited.report
    assert report.verdict == "valid"
    assert list(dict.fromkeys(one.check for one in report.findings)) == list(LEAK_CHECKS)
    assert {one.name for one in report.warnings} == {
        "nowcasts/training_split",
        "nowcasts/test_split",
    }
    assert report.of(Verdict.SKIPPED) == ()


def test_the_report_is_in_the_output_folder_and_in_the_run(audited, fetch, at_home):
    from mlflow import MlflowClient

    assert {path.name for path in audited.folder.iterdir()} == {"audit.json", "audit.md"}
    content = json.loads((audited.folder / "audit.json").read_text(encoding="utf-8"))
    assert content == audited.report.as_dict()
    run = fetch(audited.run_id)
    logged = {one.path for one in MlflowClient().list_artifacts(audited.run_id)}
    assert logged == {"audit.json", "audit.md"}
    assert (run.info.status, run.data.tags["flare.audit"]) == ("FINISHED", "valid")
    markdown = (audited.folder / "audit.md").read_text(encoding="utf-8")
    assert run.data.tags["mlflow.note.content"] == markdown == audited.report.markdown()
    assert run.data.tags["flare.split_fingerprint"] == audited.report.split_fingerprint
    assert run.data.metrics["audit/identical_images/test"] == 0
    assert run.data.metrics["audit/nowcasts/test_split"] == 3
    assert run.data.metrics["audit/nowcasts/test_split/events"] == 1


def test_the_report_says_what_it_is_of_and_what_to_do(audited, home):
    text = audited.report.markdown()
    assert text.startswith("# Audit of SYNTHETIC data tiny\n\n**valid: no leak")
    assert "| warning | flaring sample, index >= 1 | test split | 3 | 6 flaring samples |" in text
    assert "report scores of the forecast-clean subset too" in text
    table = read_table(home.data, "training")
    split = split_by_region(table, validation_share=home.small["validation_share"], seed=0)
    assert audited.report.split_fingerprint == split.fingerprint


def test_a_region_in_both_splits_is_invalid_in_all_that_it_shows(looked, home, tmp_path, fetch):
    data = shutil.copytree(home.data, tmp_path / "data", ignore=lambda *_: ["packed-32"])
    shutil.copytree(data / "training" / "11000", data / "test" / "11000")
    row = (data / "training" / "meta_data.csv").read_text(encoding="utf-8").splitlines()[1]
    with (data / "test" / "meta_data.csv").open("a", encoding="utf-8") as table:
        table.write(f"{row}\n")
    done = looked(data)
    report, run = done.report, fetch(done.run_id)
    assert (run.info.status, run.data.tags["flare.audit"]) == ("FINISHED", "invalid")
    assert run.data.metrics["audit/shared_regions/test"] == 1
    assert {one.name: one.count for one in report.invalid} == {
        "shared_regions/test": 1,
        "siblings_apart/test": 1,
        "same_ids/test": 1,
        "identical_images/test": 39,
    }
    assert report.line().startswith("INVALID: ")
    assert "active region on both sides (training / test)" in report.line()
    assert "## invalid: active region on both sides, training / test" in report.markdown()


def test_fractions_of_a_second_in_start_are_still_there_in_a_pack(home, tmp_path):
    data = shutil.copytree(home.data, tmp_path / "data", ignore=lambda *_: ["packed-32"])
    path = data / "training" / "meta_data.csv"
    table = pd.read_csv(path, dtype=str)
    quiet = table["peak_flux"].astype(float) < 1e-6
    fraction = table["start"].str.replace(".000000000", ".123456789")
    table.assign(start=table["start"].mask(quiet, fraction)).to_csv(path, index=False)
    pack = ensure_pack(data, data / "packed-32", image_size=32, processes=1)
    (finding,) = [one for one in audit_of(pack).findings if one.check == "timestamps_tell_label"]
    assert (finding.count, finding.total) == (6, 16)


def test_one_split_alone_is_audited_and_what_needs_two_is_skipped(looked, home, tmp_path):
    for split, missing in (("training", "test"), ("test", "training")):
        data = tmp_path / split
        shutil.copytree(home.data / split, data / split)
        report = looked(data).report
        findings = {one.name: one for one in report.findings}
        assert findings["shared_regions/test"].note == f"there is no {missing} split"
        assert findings["shared_regions/validation"].verdict is (
            Verdict.OK if split == "training" else Verdict.SKIPPED
        )
        assert report.verdict == "valid"


def test_too_few_regions_to_divide_are_skipped_with_the_reason(looked, home, tmp_path):
    data = tmp_path / "data"
    for split in ("training", "test"):
        shutil.copytree(home.data / split, data / split)
        path = data / split / "meta_data.csv"
        path.write_text("\n".join(path.read_text().splitlines()[:3]) + "\n", encoding="utf-8")
    findings = {one.name: one for one in looked(data).report.findings}
    assert findings["siblings_apart/validation"].verdict is Verdict.SKIPPED
    assert "too few for a validation share" in findings["siblings_apart/validation"].note


def test_ones_own_split_is_audited_and_without_one_its_checks_are_skipped(home):
    pack = open_pack(home.data / "packed-32")
    rows = np.arange(16)
    by_sample = Split(rows[rows % 2 == 0], rows[rows % 2 == 1], "by sample")
    report = audit_of(pack, by_sample)
    assert [one.name for one in report.invalid] == [
        "shared_regions/validation",
        "siblings_apart/validation",
    ]
    assert report.invalid[1].count == 8
    report = audit_of(pack)
    assert {one.place for one in report.of(Verdict.SKIPPED)} == {"validation"}
    assert report.split_fingerprint == ""


def test_features_of_ones_own_that_carry_time_are_invalid(looked, home, tmp_path):
    table = read_table(home.data, "training")
    rng = np.random.default_rng(0)
    own = table[["id"]].assign(mean=rng.normal(size=16), phase=np.arange(16) ** 0.5, year=2012)
    own.to_csv(tmp_path / "own.csv", index=False)
    report = looked(features_csv=tmp_path / "own.csv").report
    findings = {one.name: one for one in report.invalid}
    assert set(findings) == {"feature_names/features_csv", "feature_values/features_csv"}
    assert findings["feature_names/features_csv"].examples == ("year",)
    assert (
        findings["feature_values/features_csv"].examples[0].startswith("phase: rank correlation +1")
    )


def test_a_table_of_features_that_cannot_be_used_is_refused_before_images_are_read(
    looked, monkeypatch, tmp_path
):
    monkeypatch.setattr(audit, "planes_of", lambda *_a, **_k: pytest.fail("too late"))
    with pytest.raises(ConfigInvalid, match=r"features_csv=.*none\.csv cannot be read"):
        looked(features_csv=tmp_path / "none.csv")
    assert not (tmp_path / "out").exists()
