"""Print results on the terminal."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from flare.workflows.evaluation.report import Evaluation
    from flare.workflows.prediction.prediction_table import Forecasts

_SHOWN = 10  # rows of the table


def wide_console() -> Console:
    """Return a console of 100 columns: the width of a terminal is not known in a log file."""
    return Console(width=100, highlight=False)


def plain_table(*names: str, numbers: Sequence[str] = ()) -> Table:
    """Return a table with columns of texts, and then of numbers, which are aligned right."""
    table = Table(*names, box=SIMPLE_HEAD)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def show_evaluation(evaluation: "Evaluation") -> None:
    """Print the score table, and where the report is."""
    from flare.verification.table import score_tables

    comparison = evaluation.comparison
    Console(width=100).print(score_tables(comparison.scorecards, synthetic=evaluation.synthetic))
    print("\n".join(comparison.lines()))
    if evaluation.audit.invalid:
        print(f"NO SCORES OF SKILL: {evaluation.audit.line()}")
    if evaluation.overlapping:
        names = ", ".join(evaluation.overlapping)
        print(
            f"NO SCORES OF SKILL (allow_overlap=true): {names} was trained or validated on "
            f"regions of the {evaluation.split} split"
        )
    print(f"report, predictions and figures: {evaluation.report}/  (run {evaluation.run_id})")


def show_forecasts(forecasts: "Forecasts") -> None:
    """Print one forecast as JSON, as the server answers it, or the first of several as a table."""
    rows = forecasts.rows
    if len(rows) == 1:
        print(json.dumps(rows[0], indent=2))
    else:
        _show_table(rows, forecasts.output)
    n = len(rows) - len(forecasts.without)
    count = f"{n} forecast{'s' if n > 1 else ''}"
    synthetic = ", trained on SYNTHETIC data" if forecasts.synthetic else ""
    where = f", written to {forecasts.output}" if forecasts.output else ""
    data = {True: " of SYNTHETIC data", False: "", None: " of data of unknown origin"}[
        forecasts.synthetic_data
    ]
    print(f"{count}{data} by {forecasts.model}{synthetic}{where}")
    if forecasts.without:
        names = ", ".join(forecasts.without[:_SHOWN])
        more = ", ..." if len(forecasts.without) > _SHOWN else ""
        print(f"no usable image, so no forecast, in {len(forecasts.without)}: {names}{more}")


def _show_table(rows: list[dict[str, Any]], output: Path | None) -> None:
    table = Table(
        "sample", "class", "flux interval (W m^-2)", "P(M or X)", "alert", "missing", "status"
    )
    for row in rows[:_SHOWN]:
        answer = ["-"] * 4
        if row["goes_class"] is not None:
            answer = [
                row["goes_class"],
                f"{row['flux_low_w_m2']:.1e} .. {row['flux_high_w_m2']:.1e}",
                f"{row['mx_probability']:{'.3f' if row['mx_probability'] >= 0.1 else '#.2g'}}",
                "yes" if row["alert"] else "no",
            ]
        table.add_row(row["id"], *answer, str(row["missing_images"]), row["status"])
    Console(width=100).print(table)
    if len(rows) > _SHOWN:
        print(f"... and {len(rows) - _SHOWN} more in {output}")
