"""A report as blocks of text, tables and pictures, and its pages in HTML and Markdown.

The HTML page is one file without scripts or external resources; pictures are embedded. Every text
is escaped, because names of models and datasets come from users. The layouts are the templates
``page.html`` and ``page.md`` in this folder.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from flare.errors import InputInvalid
from flare.verification.table import markdown_table

_FOLDER = Path(__file__).parent

#: Numbers in a table: with a sign, an exponent or a %; a dash is undefined.
_NUMBER = re.compile(r"[-+\N{MINUS SIGN}]?[\d.,]+(e[-+]?\d+)?\s?%?|[-\N{EN DASH}]|", re.IGNORECASE)

#: CSS pixels per pixel of a PNG: figures have 150 dots per inch, and are shown at 115.
_SHOWN = 115 / 150


@dataclass(frozen=True)
class Paragraph:
    """Running text; a ``warning`` is set apart."""

    kind: ClassVar[str] = "paragraph"
    text: str
    warning: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    kind: ClassVar[str] = "bullets"
    lines: Sequence[str]


@dataclass(frozen=True)
class Value:
    """A number as text, and in small type what belongs to it, such as its interval."""

    text: str
    small: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.small}".strip()


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header; the first cell names its row.

    Columns of numbers are aligned right. A header of empty texts is left out. ``highlighted`` is
    the number of a highlighted row, from 0.
    """

    kind: ClassVar[str] = "table"
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Value]]
    highlighted: int | None = None

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.header):
                raise InputInvalid(
                    f"row {number} of the table {self.caption!r} has {len(row)} cells; "
                    f"wanted {len(self.header)}, as in its header"
                )

    @property
    def markdown(self) -> str:
        """The rows in Markdown, without the caption."""
        return markdown_table(self.header, self.rows)

    def numeric(self, column: int) -> bool:
        """Say whether all cells of a column are numbers."""
        return column > 0 and all(_NUMBER.fullmatch(_text(row[column])) for row in self.rows)


@dataclass(frozen=True)
class Picture:
    """A PNG; ``alt`` describes it in words."""

    kind: ClassVar[str] = "picture"
    path: Path
    alt: str
    caption: str = ""

    @property
    def link(self) -> str:
        """The address of the file from the folder above it."""
        return f"{self.path.parent.name}/{self.path.name}"

    @cached_property
    def content(self) -> bytes:
        """The bytes of the file."""
        return self.path.read_bytes()

    @property
    def uri(self) -> str:
        """The picture as a ``data:`` address."""
        return f"data:image/png;base64,{b64encode(self.content).decode('ascii')}"

    @property
    def width(self) -> int:
        """The width in CSS pixels, so that two figures of one column fit in a row."""
        return round(int.from_bytes(self.content[16:20], "big") * _SHOWN)  # from its header


def _text(cell: str | Value) -> str:
    return cell.text if isinstance(cell, Value) else cell


Block = Paragraph | Bullets | Table | Picture


@dataclass(frozen=True)
class Section:
    """A heading with its blocks."""

    title: str
    blocks: Sequence[Block]

    def groups(self) -> Iterator[tuple[str, list[Block]]]:
        """Yield neighbouring blocks of one kind, so that pictures can share a row."""
        for kind, blocks in groupby(self.blocks, key=lambda block: block.kind):
            yield kind, list(blocks)


def html_page(title: str, sections: Sequence[Section], *, summary: str = "") -> str:
    """Return a whole HTML page, with a table of contents from three sections on.

    ``summary`` is a sentence under the title.
    """
    return _render("page.html", title, sections, summary)


def markdown_page(title: str, sections: Sequence[Section], *, summary: str = "") -> str:
    """Return a report as Markdown; pictures are links into the folder of figures."""
    return _render("page.md", title, sections, summary)


def _render(template: str, title: str, sections: Sequence[Section], summary: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=template.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template(template).render(
        title=title, sections=sections, summary=summary
    )
    return f"{text.rstrip()}\n"
