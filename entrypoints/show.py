"""Results as a terminal shows them."""

import json
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from flare.workflows.evaluate import Evaluation
    from flare.workflows.main import WholeJob
    from flare.workflows.predict import Forecasts

_SHOWN = 10  # forecasts that fit a screen


def show_evaluation(evaluation: "Evaluation") -> None:
    """Print the score table, and where the report is."""
    from flare.verification.table import score_tables

    # 100 columns even in a log file, where the width of a terminal is not known.
    console = Console(width=100)
    comparison = evaluation.comparison
    console.print(score_tables(comparison.scorecards, synthetic=evaluation.synthetic))
    print("\n".join(comparison.lines()))
    if evaluation.overlapping:
        names = ", ".join(evaluation.overlapping)
        console.print(f"Fitted on some of these regions, so no score of skill: {names}")
    print(f"report, predictions and figures: {evaluation.report}/  (run {evaluation.run_id})")


def show_forecasts(forecasts: "Forecasts") -> None:
    """Print one forecast as JSON, as the server answers it, or the first of several as a table."""
    if len(forecasts.rows) == 1:
        print(json.dumps(forecasts.rows[0], indent=2))
    else:
        console = Console(width=100)
        table = Table("sample", "class", "flux interval (W m^-2)", "P(M or X)", "alert", "missing")
        for row in forecasts.rows[:_SHOWN]:
            table.add_row(
                row["id"],
                row["goes_class"],
                f"{row['flux_low_w_m2']:.1e} .. {row['flux_high_w_m2']:.1e}",
                f"{row['mx_probability']:.3f}",
                "yes" if row["alert"] else "no",
                str(row["missing_images"]),
            )
        console.print(table)
        if len(forecasts.rows) > _SHOWN:
            left = len(forecasts.rows) - _SHOWN
            print(f"... and {left} more; -P output=FILE.csv or .json keeps them all")
    count = f"{len(forecasts.rows)} forecast{'s' if len(forecasts.rows) > 1 else ''}"
    where = f", written to {forecasts.output}" if forecasts.output else ""
    synthetic = ", trained on SYNTHETIC data" if forecasts.rows[0]["synthetic"] else ""
    print(f"{count} by {forecasts.model}{synthetic}{where}")


def show_whole_job(job: "WholeJob") -> None:
    """Print what every stage came to, and what to do next."""
    print()
    show_evaluation(job.evaluation)
    print()
    print("\n".join(job.promoted.lines()))
    print()
    show_forecasts(job.forecasts)
    taken = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in job.seconds.items())
    print(f"\ntook {sum(job.seconds.values()):.0f} s: {taken}\n")
    print(
        "next:\n"
        "  make ui       compare the runs in MLflow's UI\n"
        "  make serve    forecasts over HTTP, http://127.0.0.1:8000/docs\n"
        "  . .venv/bin/activate && mlflow run . -e train -P epochs=30 --env-manager local"
    )
