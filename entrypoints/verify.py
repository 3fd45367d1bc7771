"""Score forecasts of any origin: `mlflow run . -e verify -P forecasts=FILE -P events=FILE`."""

from math import isnan
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from entrypoints.command import run
from flare.config.verify import VerifyConfig

if TYPE_CHECKING:
    from flare.workflows.verify import Verified

_SHOWN = {
    "BSS": "brier_skill_score",
    "TSS": "true_skill_statistic",
    "ETS": "gilbert_skill_score",
    "ROC area": "roc_area",
}


def main(config: VerifyConfig) -> None:
    """Score, and print the tables."""
    from flare.workflows.verify import run as verify

    show_verification(verify(config))


def show_verification(verified: "Verified") -> None:
    """Print a table for each event, the best methods, and where the report is."""
    from flare.workflows.verifying.sections import lines_of, summary_of

    result = verified.verification
    console = Console(width=100)
    console.print(summary_of(result), highlight=False)
    for event, of in result.scored.items():
        against = result.against(event, result.climatology)
        table = Table("method", "n", "missing", *_SHOWN, title=event)
        table.add_column(f"BSS - {result.climatology}")
        for name in of.probability:
            scores = [result.get(event, name, score) for score in _SHOWN.values()]
            gained = "-"
            if name in against and not isnan(against[name][0].value):
                gained = against[name][0].text("+.3f")
            texts = ("-" if isnan(score.value) else f"{score.value:z.3f}" for score in scores)
            table.add_row(name, str(scores[0].n), str(of.missing[name]), *texts, gained)
        console.print(table)
    print("\n".join([*lines_of(result), *verified.monitoring.lines]))
    if result.samples.synthetic:
        print("SYNTHETIC DATA: these scores say nothing about the real Sun")
    for name, reasons in result.suspect.items():
        print(f"SUSPECT: {name}: {'; '.join(reasons)}")
    print(f"report and figures: {verified.report}/  (run {verified.run_id})")


if __name__ == "__main__":
    run("verify", VerifyConfig, main)
