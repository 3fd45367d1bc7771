"""A report as blocks of text, tables and pictures, written as HTML, Markdown, figures and files.

The HTML page is one file without scripts or external resources; pictures are embedded. Every text
is escaped, because names of models and datasets come from users. The layouts are the templates
``page.html`` and ``page.md`` in this folder.
"""

import math
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from flare.errors import TrackingUnavailable
from flare.files import write_atomically
from flare.plots.style import mark_synthetic, save
from flare.tracking.run import Run
from flare.verification.scores import Score
from flare.verification.table import markdown_table

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


SYNTHETIC_WARNING = Paragraph(
    "SYNTHETIC DATA: these scores say nothing about the real Sun.", warning=True
)


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


Cells = list[str | Value]


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

    @property
    def markdown(self) -> str:
        """The rows in Markdown, without the caption."""
        return markdown_table(self.header, self.rows)

    def numeric(self, column: int) -> bool:
        """Say whether all cells of a column are numbers."""
        cells = (row[column] for row in self.rows)
        texts = (cell.text if isinstance(cell, Value) else cell for cell in cells)
        return column > 0 and all(_NUMBER.fullmatch(text) for text in texts)


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


def score_cell(score: Score | None, *, signed: bool = False) -> Value:
    """Return a value with its interval; a dash where it is undefined."""
    if score is None or math.isnan(score.value):
        return Value("-")
    if math.isinf(score.value):
        return Value("inf")
    # Fluxes are some 1e-6 W m^-2; everything else is of the order of 1.
    form = ".2e" if 1e-12 < abs(score.value) < 5e-4 else ".3f" if signed else "z.3f"
    form = f"+{form}" if signed else form
    if math.isnan(score.low):
        return Value(f"{score.value:{form}}")
    return Value(f"{score.value:{form}}", f"[{score.low:{form}}, {score.high:{form}}]")


def score_table(
    caption: str,
    scores: Mapping[str, Iterable[Score]],
    columns: Mapping[str, str],
    *,
    who: str,
    highlighted: int | None = None,
) -> Table:
    """Return a table of one event: a row for each of ``who``, ``columns`` of scores by title."""
    rows: list[Cells] = []
    for name, own in scores.items():
        by_name = {score.name: score for score in own}
        rows.append([name, *(score_cell(by_name.get(key)) for key in columns.values())])
    return Table(caption, [who, *columns], rows, highlighted)


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
        loader=FileSystemLoader(Path(__file__).parent),
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


@dataclass(frozen=True)
class ReportFigure:
    """A figure of a report; ``alt`` describes it in words."""

    figure: Figure
    alt: str
    caption: str


@dataclass(frozen=True)
class Report:
    """Everything that is written: ``figures`` by name, and the texts of other ``files`` by name.

    In the HTML page the figures are section number ``figures_at``; in Markdown they are the last.
    """

    title: str
    summary: str
    sections: Sequence[Section]
    figures: Mapping[str, ReportFigure]
    files: Mapping[str, str]
    synthetic: bool
    figures_at: int = 1

    def write(self, folder: Path) -> list[Path]:
        """Write all files over older ones, figures as PNG and SVG; return their paths in it."""
        pictures, paths = [], []
        for name, one in self.figures.items():
            if self.synthetic:
                mark_synthetic(one.figure)
            png, svg = (folder / "figures" / f"{name}.{suffix}" for suffix in ("png", "svg"))
            pictures.append(Picture(save(one.figure, png), one.alt, one.caption))
            paths += [png, save(one.figure, svg)]
        figures = Section("Figures", pictures)
        first, rest = self.sections[: self.figures_at], self.sections[self.figures_at :]
        pages = {
            "report.md": markdown_page(self.title, [*self.sections, figures], summary=self.summary),
            "report.html": html_page(self.title, [*first, figures, *rest], summary=self.summary),
        }
        for name, text in {**self.files, **pages}.items():
            write_atomically(folder / name, text)
            paths.append(folder / name)
        return [path.relative_to(folder) for path in paths]


@contextmanager
def publishing(report: Report, tracked: Run, folder: Path) -> Iterator[None]:
    """Write the report, log what the block logs, and then the files.

    The report is written even if MLflow is away: the error then says where it is.
    """
    paths = report.write(folder)
    try:
        yield
        for path in sorted(paths):
            tracked.log_file(folder / path, path.parent.name or None)
    except TrackingUnavailable as error:
        raise TrackingUnavailable(f"{error}; the report is in {folder}") from error
