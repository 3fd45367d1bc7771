"""The report of an evaluation as JSON, as HTML and as Markdown, and the audit in it."""

import json
import re

import pytest
from mlflow.artifacts import load_text

from entrypoints.show import show_evaluation
from flare.config import EvaluateConfig
from flare.workflows import evaluate
from flare.workflows.evaluation.figures import CAPTIONS

from tiny import copy_without_packs, plant_leak
from workplace import working_in

SECTIONS = [
    "Summary",
    "Figures",
    "Flares of at least M1.0",
    "Flares of at least B1.0",
    "Flares of at least C1.0",
    "Flares of at least X1.0",
    "The published event: raw label of at least 1e-5",
    "Peak flux",
    "Paired differences",
    "Subsets of the samples",
    "Calibration and thresholds",
    "Audit",
]


def text_of(evaluation, name: str) -> str:
    return (evaluation.report / name).read_text(encoding="utf-8")


@pytest.fixture
def report(models):
    return json.loads(text_of(models.evaluation, "report.json"))


@pytest.fixture(scope="module")
def leaked(models, home, tmp_path_factory):
    """An evaluation on test regions of which one has the images of a training region."""
    place = tmp_path_factory.mktemp("leaked")
    data = plant_leak(copy_without_packs(home.data, place / "data"))
    with working_in(home.folder):
        return evaluate.run(
            EvaluateConfig(data_dir=data, model="2", resamples=100, output_dir=place / "report")
        )


def test_every_subset_has_its_number_of_samples_and_events(report):
    counts = {
        subset: {
            (score["n"], score["n_events"])
            for score in cards["cnn v2"]["scores"]
            if score["event"] == "M1.0"
        }
        for subset, cards in report["subsets"].items()
    }
    assert counts == {
        "all": {(8, 2)},
        "forecast_clean": {(5, 1)},
        "complete": {(7, 2)},
        "class_quiet": {(2, 0)},
        "class_B": {(2, 0)},
        "class_C": {(2, 0)},
        "class_M": {(2, 2)},
        "year_2014": {(8, 2)},
    }


def test_the_pages_have_every_section_and_figure_and_need_nothing_from_elsewhere(models):
    page, markdown = (text_of(models.evaluation, f"report.{end}") for end in ("html", "md"))
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == SECTIONS
    addresses = re.findall(r'(?:href|src)="([^"]*)"', page)
    pictures = [one for one in addresses if one.startswith("data:image/png;base64,")]
    assert len(pictures) == len(CAPTIONS)
    assert [one for one in addresses if not one.startswith(("#", "data:"))] == []
    assert re.findall(r"!\[.*\]\((.*)\)", markdown) == [f"figures/{name}.png" for name in CAPTIONS]
    figures = {path.name for path in (models.evaluation.report / "figures").iterdir()}
    assert figures == {f"{name}.{suffix}" for name in CAPTIONS for suffix in ("png", "svg")}


def test_every_table_of_the_markdown_has_as_many_cells_in_each_row(models):
    tables, lines = 0, text_of(models.evaluation, "report.md").splitlines()
    for number, line in enumerate(lines):
        if not re.fullmatch(r"\| ---( \| ---:)+ \|", line):
            continue
        tables += 1
        assert lines[number - 2] == ""  # else it is part of the text above
        width = line.count("|")
        first = number - 1
        while first < len(lines) and lines[first].startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", lines[first])) == width
            first += 1
        assert first > number + 1
    assert tables == 11  # five events, the flux, two of differences, three of subsets


def test_the_audit_is_an_artifact_a_tag_and_a_part_of_the_report(models, fetch, report):
    run = fetch(models.evaluation.run_id)
    audit = models.evaluation.audit
    assert run.data.tags["flare.audit"] == "valid"
    assert load_text(f"runs:/{run.info.run_id}/audit.md") == audit.markdown()
    assert report["audit"] == json.loads(json.dumps(audit.as_dict()))


def test_a_leak_in_the_data_is_an_invalid_audit_and_report_and_terminal_say_so_first(
    leaked, models, fetch, capsys
):
    assert {one.name for one in leaked.audit.invalid} == {"identical_images/test"}
    assert fetch(leaked.run_id).data.tags["flare.audit"] == "invalid"
    message = "No scores of skill. INVALID: scores mean nothing until this is corrected: "
    for name in ("report.md", "report.html"):
        text = text_of(leaked, name)
        assert text.index(message) < text.index("BSS above climatology")
        assert "No scores of skill" not in text_of(models.evaluation, name)
    show_evaluation(models.evaluation)
    assert "NO SCORES OF SKILL" not in capsys.readouterr().out
    show_evaluation(leaked)
    assert f"NO SCORES OF SKILL: {leaked.audit.line()}\n" in capsys.readouterr().out
