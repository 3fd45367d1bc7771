"""Print the scores of a verification on the terminal."""

from math import isnan
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from flare.verification.scores import Score
    from flare.workflows.verify import Verified

_SHOWN = (
    ("BSS", "brier_skill_score"),
    ("TSS", "true_skill_statistic"),
    ("ETS", "gilbert_skill_score"),
    ("ROC area", "roc_area"),
)


def show_verification(verified: "Verified") -> None:
    """Print a table for each event, the best methods, and where the report is."""
    from flare.workflows.verifying.sections import lines_of, summary_of

    result = verified.verification
    console = Console(width=100)
    console.print(summary_of(result), highlight=False)
    for event in result.events:
        against = result.against(event, result.climatology)
        table = Table("method", "n", "missing", *(title for title, _ in _SHOWN), title=event)
        table.add_column(f"BSS - {result.climatology}")
        of = result.scored[event]
        for name in of.probability:
            scores = [result.get(event, name, score) for _, score in _SHOWN]
            gain = against[name][0] if name in against else None
            table.add_row(
                name,
                str(scores[0].n),
                str(of.missing[name]),
                *("-" if isnan(score.value) else f"{score.value:z.3f}" for score in scores),
                "-" if gain is None or isnan(gain.value) else _signed(gain),
            )
        console.print(table)
    print("\n".join([*lines_of(result), *verified.monitoring.lines]))
    if result.samples.synthetic:
        print("SYNTHETIC DATA: these scores say nothing about the real Sun")
    for name, reasons in result.suspect.items():
        print(f"SUSPECT: {name}: {'; '.join(reasons)}")
    print(f"report and figures: {verified.report}/  (run {verified.run_id})")


def _signed(score: "Score") -> str:
    return f"{score.value:+.3f} [{score.low:+.3f}, {score.high:+.3f}]"
