import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from flare import plots
from flare.plots.flux import confusion_matrix
from flare.plots.style import caption, mark_synthetic, new_figure, plain, save


def test_a_saved_figure_is_a_png_of_its_inches_at_150_dots(tmp_path):
    path = save(new_figure(2.0, 1.0), tmp_path / "new" / "figure.png")
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (300, 150))


def test_a_figure_that_cannot_be_drawn_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")

    def half_written(self: Figure, target: Path, **options: object) -> None:
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", half_written)
    with pytest.raises(OSError, match="disk full"):
        save(new_figure(2.0, 1.0), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_figure_of_synthetic_data_says_so_before_its_caption():
    figure = new_figure(2.0, 1.0)
    assert mark_synthetic(figure).get_supxlabel() == "SYNTHETIC DATA"
    caption(figure, "31 events.")
    assert mark_synthetic(figure).get_supxlabel() == "SYNTHETIC DATA\n31 events."


@pytest.mark.parametrize(("ending", "first"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_the_same_figure_is_the_same_file_of_the_kind_that_its_name_ends_in(
    tmp_path, ending, first
):
    files = [
        save(confusion_matrix(np.eye(5, dtype=np.intp)), tmp_path / f"{name}.{ending}")
        for name in ("first", "second")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes().startswith(first)


def test_a_name_with_dollars_is_not_a_formula_and_an_underscore_does_not_hide_it():
    axes = new_figure(4.0, 3.0).subplots()
    axes.plot([0, 1], [0, 1], label=plain("_a $5$ model"))
    assert [text.get_text() for text in axes.legend().get_texts()] == [r" _a \$5\$ model"]


def test_a_long_name_has_three_lines_at_most():
    assert plain("word " * 100).count("\n") == 2


def test_drawing_changes_no_global_setting(tmp_path):
    before = dict(matplotlib.rcParams)
    save(confusion_matrix(np.eye(5, dtype=np.intp)), tmp_path / "figure.png")
    assert dict(matplotlib.rcParams) == before


def test_no_figure_needs_pyplot():
    sources = [path.read_text() for path in Path(plots.__file__).parent.glob("*.py")]
    assert len(sources) > 10
    assert [one for one in sources if re.search(r"^\s*(from|import) .*pyplot", one, re.M)] == []
