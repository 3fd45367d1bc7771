"""A report as Markdown: what MLflow's pages, GitHub and a terminal show of the HTML page."""

from collections.abc import Sequence
from pathlib import Path

from flare.workflows.evaluation.report.page import (
    Block,
    Bullets,
    Paragraph,
    Picture,
    Section,
    Table,
    Value,
)


def markdown_page(title: str, sections: Sequence[Section], *, summary: str = "") -> str:
    """Return a report as Markdown; pictures in files are links to a folder beside it."""
    parts = [f"# {title}", *([summary] if summary else [])]
    for section in sections:
        parts.append(f"## {section.title}")
        parts += [_markdown(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, Paragraph):
        return f"**{block.text}**" if block.warning else block.text
    if isinstance(block, Bullets):
        return "\n".join(f"- {line}" for line in block.lines)
    if isinstance(block, Picture):
        place = block.source
        link = f"{place.parent.name}/{place.name}" if isinstance(place, Path) else ""
        return f"![{block.alt}]({link})\n\n{block.caption}"
    return _table(block)


def _table(block: Table) -> str:
    lines = [_row(block.header), _row(["---", *["---:"] * (len(block.header) - 1)])]
    lines += [_row([_cell(cell) for cell in row]) for row in block.rows]
    table = "\n".join(lines)
    return f"{block.caption}\n\n{table}" if block.caption else table


def _cell(cell: str | Value) -> str:
    if isinstance(cell, Value):
        return f"{cell.text} {cell.small}".strip()
    return cell


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(escaped)} |"
