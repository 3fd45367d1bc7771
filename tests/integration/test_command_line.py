"""Every entry point in this process: one line for an expected error, a traceback for a defect."""

import json
import shutil

import pytest

from flare.datasets.sdobenchmark.labels import read_table

from workplace import tree


@pytest.fixture
def typed(at_home, command_line):
    """Run command lines in the shared store."""
    return command_line


@pytest.fixture
def refused(typed, tmp_path):
    """Return a function that runs what must be refused, and gives its one line."""

    def run(name: str, **parameters: object) -> str:
        before = tree(tmp_path)
        code, out, err = typed(name, **parameters)
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert line.startswith(f"{name}: ")
        assert tree(tmp_path) == before
        return line

    return run


@pytest.mark.parametrize("name", ["pack", "inspect", "audit", "baseline", "train", "search"])
def test_a_dataset_that_does_not_exist_is_named_by_all_that_read_one(refused, tmp_path, name):
    study = {"storage": f"sqlite:///{tmp_path}/search.db"} if name == "search" else {}
    line = refused(name, data_dir=tmp_path / "none", **study)
    assert f"no training/meta_data.csv in {tmp_path}/none; pass -P data_dir=" in line


def test_the_whole_job_says_at_which_stage_it_ended(typed, tmp_path):
    code, out, err = typed("main", data_dir=tmp_path / "none")
    assert (code, out) == (2, "")
    stage, line = err.splitlines()
    assert stage == "== data"
    assert line.startswith(f"main: no training/meta_data.csv in {tmp_path}/none; pass -P data_dir=")


@pytest.mark.parametrize(("name", "place"), [("evaluate", "output_dir"), ("predict", "output")])
def test_a_model_that_does_not_exist_is_named(refused, at_home, tmp_path, name, place):
    given = {"data_dir": at_home.data, place: tmp_path / "out.csv"}
    line = refused(name, **given, model="nonsense")
    assert "'solar-flare' has the alias 'nonsense' in sqlite:" in line
    assert "mlflow run . -e promote" in line
    line = refused("evaluate", model_name="no-such", output_dir=tmp_path / "report")
    assert "no version of 'no-such' is registered in sqlite:" in line
    assert line.endswith("run `mlflow run . -e train`")


@pytest.mark.parametrize(
    ("name", "parameter", "place"),
    [
        ("evaluate", "output_dir", "file/report"),
        ("predict", "output", "file/new/forecasts.csv"),
        ("synthesize", "data_dir", "file/data"),
        ("pack", "pack_dir", "file/pack"),
        ("inspect", "output_dir", "file/figures"),
        ("audit", "output_dir", "file/report"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(
    refused, at_home, tmp_path, name, parameter, place
):
    (tmp_path / "file").touch()
    data = {"samples": 30} if name == "synthesize" else {"data_dir": at_home.data}
    assert f"{tmp_path}/file" in refused(name, **data, **{parameter: tmp_path / place})


def test_a_full_disk_is_one_line_that_names_the_file(
    refused, models, at_home, tmp_path, monkeypatch
):
    def full(*_given: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "out.json"))

    monkeypatch.setattr("flare.workflows.predict.write_forecasts", full)
    sample = next(at_home.data.glob("test/*/*"))
    line = refused("predict", input=sample, model="1", output=tmp_path / "out.json")
    assert f"{tmp_path}/out.json: No space left on device; make room" in line


def test_evaluate_prints_the_table_and_where_the_report_is(typed, models, at_home, tmp_path):
    code, out, _ = typed(
        "evaluate", data_dir=at_home.data, model="2", resamples=100, output_dir=tmp_path / "r"
    )
    assert code == 0
    assert [name for name in ("cnn v2", "forest", "climatology") if name not in out] == []
    assert f"{tmp_path}/r/" in out
    assert "synthetic" in out.lower()


def test_predict_prints_one_forecast_as_json_or_the_first_of_several_as_a_table(
    typed, models, at_home, tmp_path
):
    _, one, _ = typed("predict", input=next(at_home.data.glob("test/*/*")), model="1")
    assert '"mx_probability": ' in one
    assert "1 forecast of SYNTHETIC data by forest v1, trained on SYNTHETIC data" in one
    given = {"data_dir": at_home.data, "split": "training", "output": tmp_path / "p.jsonl"}
    _, several, _ = typed("predict", **given, model="1")
    assert "P(M or X)" in several
    assert f"... and 6 more in {tmp_path}/p.jsonl" in several
    assert "16 forecasts of SYNTHETIC data by forest v1" in several


def test_a_sample_that_cannot_be_forecast_is_named(typed, models, at_home, tmp_path):
    data = shutil.copytree(at_home.data / "test", tmp_path / "data")
    (data / "meta_data.csv").unlink()
    lost = sorted(data.glob("12000/*"))[1]
    for image in lost.iterdir():
        image.write_bytes(b"")
    _, printed, _ = typed("predict", data_dir=data, model="1", output=tmp_path / "p.csv")
    assert "7 forecasts" in printed
    assert f"no usable image, so no forecast, in 1: 12000_{lost.name}" in printed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"input": "one"}, "input=one and data_dir={data} are both given; leave one out"),
        ({"data_dir": "{here}"}, "{here} holds neither a split's meta_data.csv nor"),
        ({"output": "p.xlsx"}, "p.xlsx: give a name ending in .csv, .json, .jsonl, .parquet"),
        ({"output": "{here}/is.csv"}, "{here}/is.csv is a folder; give the name of a file"),
        *(
            ({"base_rates": text}, f"base_rates={text}: ")
            for text in ("M1.0", "M1.0:1.5", "M1.0:0", "M1.0:0.2,M1.0:0.3", "M9:0.2", "M1.0:nan")
        ),
    ],
    ids=str,
)
def test_what_predict_cannot_take_is_one_line(refused, models, at_home, tmp_path, given, message):
    (tmp_path / "is.csv").mkdir()
    places = {"here": tmp_path, "data": at_home.data}
    given = {name: value.format(**places) for name, value in given.items()}
    line = refused("predict", **{"data_dir": at_home.data, "model": "1"} | given)
    assert message.format(**places) in line
    assert "base rate" in line or "base_rates" not in given


def test_pack_prints_its_fingerprints_and_verifies_when_asked(typed, at_home, tmp_path):
    settings = {"data_dir": at_home.data, "pack_dir": tmp_path / "pack", "image_size": 32}
    code, out, _ = typed("pack", **settings, processes=1)
    made = json.loads((tmp_path / "pack" / "pack.json").read_text(encoding="utf-8"))
    assert code == 0
    assert made["fingerprint"] in out
    assert made["pack_fingerprint"] in out
    assert "as it was packed" not in out
    assert (
        "verified: every sample is as it was packed" in typed("pack", **settings, verify="true")[1]
    )
    cubes = tmp_path / "pack" / "test" / "cubes.u8"
    cubes.write_bytes(b"x" + cubes.read_bytes()[1:])
    assert typed("pack", **settings)[0] == 0
    code, out, err = typed("pack", **settings, verify="true")
    assert (code, out) == (2, "")
    assert f"is not what was packed; delete {tmp_path}/pack and run" in err


def test_an_overruled_evaluation_says_so_on_the_terminal(typed, models, at_home, tmp_path):
    given = {"data_dir": at_home.data, "model": "1", "resamples": 100, "output_dir": tmp_path / "r"}
    code, out, _ = typed("evaluate", **given, split="training", allow_overlap="true")
    assert code == 0
    assert "NO SCORES OF SKILL (allow_overlap=true): forest v1, forest, logistic " in out


def test_an_audit_without_a_leak_ends_with_0_and_says_valid(typed, at_home, tmp_path):
    code, out, _ = typed("audit", **at_home.small, features="false", output_dir=tmp_path / "r")
    assert code == 0
    assert f"report: {tmp_path}/r/audit.md" in out
    assert out.splitlines()[-1].startswith("audit: valid: no leak that makes a score invalid (2 w")


def test_an_audit_that_finds_a_leak_ends_with_1_and_one_line_that_names_it(
    typed, at_home, tmp_path
):
    own = tmp_path / "own.csv"
    ids = read_table(at_home.data, "training")["id"]
    own.write_text("id,doy\n" + "".join(f"{key},1\n" for key in ids), encoding="utf-8")
    given = {"features": "false", "features_csv": own, "output_dir": tmp_path / "r"}
    code, out, err = typed("audit", **at_home.small, **given)
    assert code == 1
    assert err == ""
    assert out.splitlines()[-1] == (
        "audit: INVALID: scores mean nothing until this is corrected: "
        "feature named after time or id (features_csv)"
    )
    assert (tmp_path / "r" / "audit.json").is_file()


def test_an_audit_of_features_of_unknown_samples_is_refused(refused, at_home, tmp_path):
    own = tmp_path / "own.csv"
    own.write_text("id,a\nnonsense,1\n", encoding="utf-8")
    given = {"features_csv": own, "output_dir": tmp_path / "r"}
    line = refused("audit", **at_home.small, **given)
    assert "id 'nonsense' is not a sample of the dataset" in line
