from pathlib import Path

from flare.workflows.evaluation.report.render import (
    Block,
    Bullets,
    Paragraph,
    Picture,
    Section,
    Table,
    Value,
    markdown_page,
)


def body(*blocks: Block) -> list[str]:
    """Return the lines under the heading of a page with one section."""
    return markdown_page("Page", [Section("Part", blocks)]).splitlines()[4:]


def test_a_page_is_its_title_its_summary_and_its_sections_in_their_order() -> None:
    page = markdown_page("Page", [Section("One", []), Section("Two", [])], summary="In short.")
    assert page == "# Page\n\nIn short.\n\n## One\n\n## Two\n"


def test_without_a_summary_the_first_section_follows_the_title() -> None:
    assert markdown_page("Page", [Section("One", [])]) == "# Page\n\n## One\n"


def test_only_a_warning_is_set_in_bold() -> None:
    assert body(Paragraph("plain"), Paragraph("loud", warning=True)) == ["plain", "", "**loud**"]


def test_every_bullet_has_a_line() -> None:
    assert body(Bullets(["a", "b"])) == ["- a", "- b"]


def test_a_table_stands_apart_under_its_caption() -> None:
    table = Table("Caption", ["who", "BSS"], [["cnn", Value("0.500", "[0.1, 0.9]")], ["rf", "-"]])
    assert body(table) == [
        "Caption",
        "",
        "| who | BSS |",
        "| --- | ---: |",
        "| cnn | 0.500 [0.1, 0.9] |",
        "| rf | - |",
    ]


def test_a_value_without_small_print_has_no_blank_at_its_end() -> None:
    assert body(Table("", ["a", "b"], [["x", Value("1")]]))[-1] == "| x | 1 |"


def test_names_with_a_bar_or_a_line_break_do_not_part_a_row() -> None:
    table = Table("", ["who", "BSS"], [["a|b\nc", Value("1", "d|e")]])
    assert body(table)[-1] == "| a\\|b c | 1 d\\|e |"


def test_a_picture_is_a_link_to_the_file_next_to_the_page() -> None:
    picture = Picture(Path("/somewhere/figures/roc.png"), "roc", "What it shows.")
    assert body(picture) == ["![roc](figures/roc.png)", "", "What it shows."]
