"""A report as one HTML file: no script, nothing from elsewhere, pictures inside it.

Whoever is sent the file sees all of it, now and in ten years. Every text is escaped: names of
models and datasets come from people. The layout is in ``report_page.html`` beside this file.
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

_FOLDER, _TEMPLATE = Path(__file__).parent, "page.html"

#: What counts as a number in a table: with a sign, an exponent or a unit's %; a dash is undefined.
_NUMBER = re.compile(r"[-+\N{MINUS SIGN}]?[\d.,]+(e[-+]?\d+)?\s?%?|[-\N{EN DASH}]|", re.IGNORECASE)

#: CSS pixels for one of a PNG: figures have 150 dots per inch, and are shown at 115.
_SHOWN = 115 / 150

_PNG, _SVG = b"\x89PNG\r\n\x1a\n", re.compile(rb"\s*(<\?xml[^>]*>)?\s*(<!DOCTYPE[^>]*>)?\s*<svg\b")


@dataclass(frozen=True)
class Paragraph:
    """Running text; ``warning`` sets it apart, for what must not be overlooked."""

    kind: ClassVar[str] = "paragraph"
    text: str
    warning: bool = False


@dataclass(frozen=True)
class Bullets:
    """Short sentences, one under the other."""

    kind: ClassVar[str] = "bullets"
    lines: Sequence[str]


@dataclass(frozen=True)
class Value:
    """A number as it is printed, and in small type what belongs to it, such as its interval."""

    text: str
    small: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header; the first cell names its row.

    Columns of numbers stand to the right. A header of empty texts is left out. ``highlighted`` is
    the number of a row that stands out, from 0.
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

    def numeric(self, column: int) -> bool:
        """Say whether all cells of a column are numbers."""
        return column > 0 and all(_NUMBER.fullmatch(str(row[column])) for row in self.rows)


@dataclass(frozen=True)
class Picture:
    """A PNG or SVG, as bytes or in a file; ``alt`` says what is on it to who cannot see it."""

    kind: ClassVar[str] = "picture"
    source: bytes | Path
    alt: str
    caption: str = ""

    @cached_property
    def content(self) -> bytes:
        """The bytes of the picture.

        Raises
        ------
        InputInvalid
            There is no such file, or it is neither PNG nor SVG.
        """
        content, name = self.source, "a picture"
        if isinstance(content, Path):
            name = str(content)
            if not content.is_file():
                raise InputInvalid(f"no picture at {content}")
            content = content.read_bytes()
        if not (content.startswith(_PNG) or _SVG.match(content)):
            raise InputInvalid(f"{name} ({self.alt}) is neither PNG nor SVG")
        return content

    @property
    def uri(self) -> str:
        """The picture as a ``data:`` address."""
        media = "png" if self.content.startswith(_PNG) else "svg+xml"
        return f"data:image/{media};base64,{b64encode(self.content).decode('ascii')}"

    @property
    def width(self) -> int | None:
        """How wide a PNG is shown, in CSS pixels: two of one column beside each other."""
        if not self.content.startswith(_PNG):
            return None
        return round(int.from_bytes(self.content[16:20], "big") * _SHOWN)  # from its header


Block = Paragraph | Bullets | Table | Picture


@dataclass(frozen=True)
class Section:
    """A heading, and what stands under it."""

    title: str
    blocks: Sequence[Block]

    def groups(self) -> Iterator[tuple[str, list[Block]]]:
        """Yield neighbouring blocks of one kind, so that pictures can stand side by side."""
        for kind, blocks in groupby(self.blocks, key=lambda block: block.kind):
            yield kind, list(blocks)


def html_page(title: str, sections: Sequence[Section], *, summary: str = "") -> str:
    """Return a whole HTML page.

    Parameters
    ----------
    title
        Of the page and its first heading.
    sections
        In the order in which they stand; from three on there is a table of contents.
    summary
        A sentence under the title.

    Raises
    ------
    InputInvalid
        A picture is not there, or is neither PNG nor SVG.
    """
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template(_TEMPLATE)
    return template.render(title=title, sections=sections, summary=summary)
