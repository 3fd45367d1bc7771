"""What reports are made of, and how it looks as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of texts under a header; the first column names the row, the others are numbers."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A figure in a file, what is said where it cannot be seen, and what it shows."""

    path: Path
    alt: str
    caption: str


Block = Paragraph | Table | Picture


@dataclass(frozen=True)
class Section:
    """Blocks under a heading."""

    title: str
    blocks: Sequence[Block]


def markdown_page(title: str, sections: Sequence[Section]) -> str:
    """Return a report as Markdown; pictures are links to files beside it."""
    parts = [f"# {title}"]
    for section in sections:
        parts.append(f"## {section.title}")
        parts += [_markdown(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, Paragraph):
        return block.text
    if isinstance(block, Picture):
        return f"![{block.alt}]({block.path.name})\n\n{block.caption}"
    lines = [_row(block.header), _row(["---", *["---:"] * (len(block.header) - 1)])]
    lines += [_row(row) for row in block.rows]
    table = "\n".join(lines)
    return f"{block.caption}\n\n{table}" if block.caption else table


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
