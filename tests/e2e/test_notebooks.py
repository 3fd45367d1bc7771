"""The notebooks run from top to bottom, one after the other, on a tiny dataset."""

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from tiny import write_tiny_dataset

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[nbformat.NotebookNode]:
    return list(nbformat.read(path, as_version=4).cells)


def test_they_are_stored_without_output() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05"]
    code = [cell for path in NOTEBOOKS for cell in cells(path) if cell.cell_type == "code"]
    assert [cell.outputs for cell in code if cell.outputs] == []
    assert [cell.execution_count for cell in code if cell.execution_count] == []


def test_they_say_alike_where_the_data_are_and_define_nothing() -> None:
    first = {next(c.source for c in cells(path) if c.cell_type == "code") for path in NOTEBOOKS}
    assert len(first) == 1
    sources = "\n".join(cell.source for path in NOTEBOOKS for cell in cells(path))
    assert "\ndef " not in sources
    assert "\nclass " not in sources
    assert sources.count("DATA = ") == len(NOTEBOOKS)


#: Smaller models and fewer resamples than a reader gets.
SMALLER = {
    "BaselineConfig(data_dir=DATA, ": "trees=10, resamples=100, ",
    "TrainConfig(data_dir=DATA, ": "width=2, hidden=4, folds=2, resamples=100, ",
    "EvaluateConfig(data_dir=DATA, ": "resamples=100, ",
}
#: In a module, because `%reset` forgets names, and what nobody names is undone.
ROUGHER = """import workplace
workplace.rough = workplace.rough_fits_and_figures()
workplace.rough.__enter__()"""


def made_smaller(cell: nbformat.NotebookNode) -> nbformat.NotebookNode:
    for call, settings in SMALLER.items():
        cell.source = cell.source.replace(call, f"{call}{settings}")
    return cell


@pytest.mark.slow
def test_they_run_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All in one process, which forgets every name in between; the imports take long."""
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "FLARE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
    write_tiny_dataset(tmp_path / "data" / "synthetic", training_regions=16)
    shutil.copytree(ROOT / "data" / "example", tmp_path / "data" / "example")
    (tmp_path / "notebooks").mkdir()
    parts = [[*map(made_smaller, cells(path)), new_code_cell("%reset -f")] for path in NOTEBOOKS]
    book = new_notebook(cells=[new_code_cell(ROUGHER), *(cell for part in parts for cell in part)])
    assert [call for call in SMALLER if call not in str(book)] == []
    client = NotebookClient(book, timeout=600, kernel_name="python3")
    client.execute(cwd=str(tmp_path / "notebooks"))
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in outputs)
    assert "solar-flare version 1 (forest)" in text
    assert "solar-flare version 2 (cnn)" in text
    assert "Production of solar-flare is version" in text
    assert (
        sum("image/png" in o.get("data", {}) for c in book.cells for o in c.get("outputs", [])) >= 8
    )
