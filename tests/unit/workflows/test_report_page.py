import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flare.errors import TrackingUnavailable
from flare.plots.style import new_figure, save
from flare.workflows.evaluation.report_page import (
    Block,
    Bullets,
    Paragraph,
    Picture,
    Report,
    ReportFigure,
    Section,
    Table,
    Value,
    html_page,
    markdown_page,
    publishing,
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


def png(tmp_path: Path) -> Path:
    return save(new_figure(2.0, 1.0), tmp_path / "figure.png")


def test_every_text_stands_as_it_was_given_and_is_never_run(tmp_path):
    picture = Picture(png(tmp_path), EVIL, EVIL)
    table = Table(EVIL, [EVIL, EVIL], [[EVIL, Value(EVIL, EVIL)]])
    blocks = [Paragraph(EVIL), Bullets([EVIL]), table, picture]
    sections = [Section(EVIL, blocks), Section(EVIL, []), Section(EVIL, [])]
    result = Page(html_page(EVIL, sections, summary=EVIL))
    assert result.open == []  # every tag is closed in its turn
    assert result.named("script") == []
    assert result.named("img")[0]["alt"] == EVIL
    # title and h1, summary, contents and headings of three sections, paragraph, line, caption,
    # two headers, three texts of cells, caption of the picture
    assert result.text.count(EVIL) == 2 + 1 + 3 + 3 + 1 + 1 + 1 + 2 + 3 + 1


def test_a_picture_is_inside_the_page_and_nothing_is_fetched_from_elsewhere(tmp_path):
    path = png(tmp_path)
    html = html_page("Report", [Section("Figures", [Picture(path, "a figure")])])
    (address,) = re.findall(r"""(?:src|href)="([^"]*)"|url\(|@import""", html)
    head, _, data = address.partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == path.read_bytes()
    assert "default-src 'none'" in html


def test_numbers_stand_to_the_right_and_words_do_not():
    rows = [
        ["forest", Value("0.360", "[0.1, 0.5]"), "1,234", "yes", "1e-6"],
        ["oracle", Value("-"), "−5 %", "12", "2.00e-06"],
    ]
    result = page(Table("Scores", ["", "TSS", "samples", "note", "MAE"], rows))
    right = [kind == "number" for _, kind, _ in result.cells]
    assert right == [False, True, True, False, True] * 3


def test_the_first_cell_is_the_header_of_its_row():
    result = page(Table("", ["name", "TSS"], [["forest", "0.3"]]))
    assert [attributes["scope"] for attributes in result.named("th")] == ["col", "col", "row"]


def test_a_warning_is_set_apart():
    blocks = Paragraph("plain"), Paragraph("loud", warning=True)
    assert [tag.get("class") for tag in page(*blocks).named("p")] == [None, "warning"]
    assert body(*blocks) == ["plain", "", "**loud**"]


@pytest.mark.parametrize(("n", "contents"), [(2, 0), (3, 3)])
def test_three_sections_have_a_table_of_contents(n, contents):
    result = Page(html_page("Report", [Section(f"part {k}", []) for k in range(n)]))
    links = [link["href"] for link in result.named("a")]
    assert links == [f"#section-{k + 1}" for k in range(contents)]
    assert {link[1:] for link in links} <= {heading["id"] for heading in result.named("h2")}


def body(*blocks: Block) -> list[str]:
    """Return the lines under the heading of a Markdown page with one section."""
    return markdown_page("Page", [Section("Part", blocks)]).splitlines()[4:]


@pytest.mark.parametrize("summary", ["In short.", ""])
def test_a_markdown_page_is_its_title_its_summary_and_its_sections_in_their_order(summary):
    page = markdown_page("Page", [Section("One", []), Section("Two", [])], summary=summary)
    assert page == "# Page\n\nIn short.\n\n## One\n\n## Two\n".replace(
        "In short.\n\n", f"{summary}\n\n" if summary else ""
    )


def test_a_table_stands_apart_under_its_caption_and_a_bullet_has_a_line():
    rows = [["cnn", Value("0.500", "[0.1, 0.9]")], ["a|b\nc", Value("1")]]
    assert body(Bullets(["a", "b"]), Table("Caption", ["who", "BSS"], rows)) == [
        "- a",
        "- b",
        "",
        "Caption",
        "",
        "| who | BSS |",
        "| --- | ---: |",
        "| cnn | 0.500 [0.1, 0.9] |",
        "| a\\|b c | 1 |",
    ]


def test_a_picture_is_a_link_to_the_file_next_to_the_page():
    picture = Picture(Path("/somewhere/figures/roc.png"), "roc", "What it shows.")
    assert body(picture) == ["![roc](figures/roc.png)", "", "What it shows."]


def test_a_report_is_on_disk_even_if_mlflow_is_away(tmp_path):
    figures = {"roc": ReportFigure(new_figure(2.0, 1.0), "roc", "What it shows.")}
    sections = [Section("Summary", []), Section("Scores", [])]
    report = Report("Title", "In short.", sections, figures, {"a.csv": "1\n"}, synthetic=True)
    message = f"no answer; the report is in {tmp_path}"
    with (
        pytest.raises(TrackingUnavailable, match=message),
        publishing(report, None, tmp_path),
    ):
        raise TrackingUnavailable("no answer")
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")}
    assert files == {"a.csv", "figures/roc.png", "figures/roc.svg", "report.html", "report.md"}
    headings = [
        re.findall(pattern, (tmp_path / name).read_text())
        for name, pattern in (("report.html", r">(.*)</h2>"), ("report.md", r"## (.*)"))
    ]
    assert headings == [["Summary", "Figures", "Scores"], ["Summary", "Scores", "Figures"]]
