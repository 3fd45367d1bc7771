import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from flare.errors import InputInvalid
from flare.plots.flux import confusion_matrix
from flare.plots.style import new_figure, save
from flare.workflows.evaluation.report.render import (
    Block,
    Bullets,
    Paragraph,
    Picture,
    Section,
    Table,
    Value,
    html_page,
)

EVIL = "<script>alert('1')</script> \" & {{ 7 * 7 }}"
VOID = {"meta", "img"}


class Page(HTMLParser):
    """What a browser makes of a page: tags with their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.cells: list[tuple[str, str, str]] = []  # tag, class, text
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("th", "td"):
            self.cells.append((tag, dict(attrs).get("class") or "", ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"th", "td"} & set(self.open):
            tag, kind, text = self.cells[-1]
            self.cells[-1] = tag, kind, text + data.strip()

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(*blocks: Block) -> Page:
    return Page(html_page("Report", [Section("Scores", blocks)]))


def png(tmp_path: Path, inches: float = 2.0) -> Path:
    return save(new_figure(inches, 1.0), tmp_path / "figure.png")


def test_every_text_stands_as_it_was_given_and_is_never_run(tmp_path: Path) -> None:
    picture = Picture(png(tmp_path), EVIL, EVIL)
    table = Table(EVIL, [EVIL, EVIL], [[EVIL, Value(EVIL, EVIL)]])
    blocks = [Paragraph(EVIL), Bullets([EVIL]), table, picture]
    sections = [Section(EVIL, blocks), Section(EVIL, []), Section(EVIL, [])]
    result = Page(html_page(EVIL, sections, summary=EVIL))
    assert result.named("script") == []
    assert result.named("img")[0]["alt"] == EVIL
    # title and h1, summary, contents and headings of three sections, paragraph, line, caption,
    # two headers, three texts of cells, caption of the picture
    assert result.text.count(EVIL) == 2 + 1 + 3 + 3 + 1 + 1 + 1 + 2 + 3 + 1


def test_every_tag_is_closed_in_its_turn(tmp_path: Path) -> None:
    result = page(
        Paragraph("a"), Bullets(["a"]), Table("", ["a"], [["b"]]), Picture(png(tmp_path), "")
    )
    assert result.open == []


def test_nothing_is_fetched_from_elsewhere(tmp_path: Path) -> None:
    html = html_page("Report", [Section("Figures", [Picture(png(tmp_path), "a figure")])])
    addresses = re.findall(r"""(?:src|href)="([^"]*)"|url\(|@import""", html)
    assert [address.split(",")[0] for address in addresses] == ["data:image/png;base64"]
    assert "default-src 'none'" in html


def test_a_picture_is_inside_the_page(tmp_path: Path) -> None:
    path = save(confusion_matrix(np.eye(5, dtype=np.intp)), tmp_path / "figure.png")
    head, _, data = page(Picture(path, "classes")).named("img")[0]["src"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == path.read_bytes()


def test_two_figures_of_one_column_fit_next_to_each_other(tmp_path: Path) -> None:
    image = page(Picture(png(tmp_path, inches=3.5), "a")).named("img")[0]
    assert int(image["width"]) == pytest.approx(3.5 * 115, abs=1)


def test_neighbouring_pictures_share_a_row(tmp_path: Path) -> None:
    picture = Picture(png(tmp_path), "a")
    result = page(picture, picture, Paragraph("between"), picture)
    assert [tag.get("class") for tag in result.named("div")] == ["pictures", "pictures"]


def test_numbers_stand_to_the_right_and_words_do_not() -> None:
    rows = [
        ["forest", Value("0.360", "[0.1, 0.5]"), "1,234", "yes", "1e-6"],
        ["oracle", Value("-"), "−5 %", "12", "2.00e-06"],
    ]
    result = page(Table("Scores", ["", "TSS", "samples", "note", "MAE"], rows))
    right = [kind == "number" for _, kind, _ in result.cells]
    assert right == [False, True, True, False, True] * 3


def test_the_interval_is_small_below_its_value() -> None:
    result = page(Table("Scores", ["", "TSS"], [["forest", Value("0.360", "[0.1, 0.5]")]]))
    assert result.cells[-1] == ("td", "number", "0.360[0.1, 0.5]")
    assert len(result.named("small")) == 1


def test_the_first_cell_is_the_header_of_its_row() -> None:
    result = page(Table("", ["name", "TSS"], [["forest", "0.3"]]))
    assert [attributes["scope"] for attributes in result.named("th")] == ["col", "col", "row"]


def test_a_header_of_empty_texts_is_left_out() -> None:
    assert page(Table("Data", ["", ""], [["samples", "192"]])).named("thead") == []


def test_the_highlighted_row_is_the_one_that_was_asked_for() -> None:
    result = page(Table("", ["name"], [["a"], ["b"], ["c"]], highlighted=1))
    assert [row.get("class") for row in result.named("tr")] == [None, None, "own", None]


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(InputInvalid, match="row 2 of the table 'Scores' has 1 cells; wanted 2"):
        Table("Scores", ["", "TSS"], [["a", "1"], ["b"]])


def test_a_warning_is_set_apart() -> None:
    kinds = [
        tag.get("class") for tag in page(Paragraph("a"), Paragraph("b", warning=True)).named("p")
    ]
    assert kinds == [None, "warning"]


@pytest.mark.parametrize(("n", "contents"), [(2, 0), (3, 3)])
def test_three_sections_have_a_table_of_contents(n: int, contents: int) -> None:
    result = Page(html_page("Report", [Section(f"part {k}", []) for k in range(n)]))
    links = [link["href"] for link in result.named("a")]
    assert links == [f"#section-{k + 1}" for k in range(contents)]
    assert {link[1:] for link in links} <= {heading["id"] for heading in result.named("h2")}


def test_the_same_report_is_the_same_page() -> None:
    sections = [Section("Scores", [Table("", ["name"], [["a"]])])]
    assert html_page("Report", sections) == html_page("Report", sections)
