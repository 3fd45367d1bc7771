"""Print a dataset: a census with published counts, gaps and checks; a synthetic one's oracle."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from entrypoints.show import plain_table, wide_console

if TYPE_CHECKING:
    from flare.datasets.sdobenchmark.census import Census, SplitCensus
    from flare.verification.scorecard import Scorecard
    from flare.verification.scores import Score
    from flare.workflows.data.synthesize import Synthesized

_SCORES = ("true_skill_statistic", "brier_skill_score", "roc_area")


def show_census(census: "Census") -> None:
    """Print what a dataset holds: three tables and a last line with its fingerprint."""
    from flare.datasets.sdobenchmark.fingerprint import short

    console = wide_console()
    splits = list(census.splits.values())
    kind = "SYNTHETIC DATA" if census.synthetic else "data"
    console.print(f"{kind} {census.name!r}, compared with the published SDOBenchmark", style="bold")
    console.print(_counts_table(splits))
    console.print("Missing images, by time before the forecast window", style="bold")
    console.print(_missing_table(splits))
    console.print("Checks, each with its first example", style="bold")
    console.print(_checks_table(splits))
    console.print(f"{_verdict(census)}; fingerprint {short(census.fingerprint)}")


def _counts_table(splits: Sequence["SplitCensus"]) -> Table:
    from flare.datasets.sdobenchmark.census import COUNT_NAMES, PUBLISHED, PUBLISHED_LAST_IMAGES

    table = plain_table("", numbers=[title for one in splits for title in (one.name, "published")])
    for key, name in COUNT_NAMES.items():
        cells = [(one.counts[key], PUBLISHED[one.name][key]) for one in splits]
        table.add_row(name, *(f"{number:,}" for pair in cells for number in pair))
    table.add_section()
    for channel in PUBLISHED_LAST_IMAGES["test"]:
        published = [PUBLISHED_LAST_IMAGES[one.name][channel] for one in splits]
        counted = [one.last_images[channel] for one in splits]
        pairs = zip(counted, published, strict=True)
        name = f"{channel}, last image on disk"
        table.add_row(name, *(f"{number:,}" for pair in pairs for number in pair))
    return table


def _missing_table(splits: Sequence["SplitCensus"]) -> Table:
    from flare.sample import CHANNELS, N_STEPS, STEP_NAMES

    table = plain_table("")
    for one in splits:
        for name, step in zip((one.name, *[""] * N_STEPS), (*STEP_NAMES, "share"), strict=True):
            table.add_column(f"{name}\n{step}", justify="right")
    for channel in CHANNELS:
        cells = []
        for one in splits:
            counts = one.missing[channel]
            share = sum(counts) / (len(one) * N_STEPS)
            cells += [*map(str, counts), f"{share:.1%}"]
        table.add_row(channel, *cells)
    return table


def _checks_table(splits: Sequence["SplitCensus"]) -> Table:
    from flare.datasets.sdobenchmark.findings import CENSUS_CHECKS

    table = plain_table("", numbers=[one.name for one in splits])
    furthest = max(one.minutes_off for one in splits)
    for check, what in CENSUS_CHECKS.items():
        affected = [one for one in splits if one.findings[check].count]
        text = what
        if affected:
            text += f" (at most {furthest:.1f})" if check == "off_step" else ""
            text += f"\n  {affected[0].name}: {affected[0].findings[check].example}"
        table.add_row(text, *(f"{one.findings[check].count:,}" for one in splits))
    return table


def _verdict(census: "Census") -> str:
    if census.synthetic:
        return "synthetic: there are no published counts"
    if census.matches_published:
        return "samples, regions and classes are those of the whole SDOBenchmark"
    return "not the whole of SDOBenchmark: samples, regions or classes differ"


def show_synthesized(result: "Synthesized") -> None:
    """Print sizes and classes of both splits, the oracle's scores, and what to do next."""
    from flare.datasets.sdobenchmark.fingerprint import short

    console = wide_console()
    splits = {"training": result.summary.training, "test": result.summary.test}
    classes = list(result.summary.training.classes)
    table = plain_table("split", numbers=["samples", "regions", *classes])
    for name, split in splits.items():
        counts = (str(split.classes[letter]) for letter in classes)
        table.add_row(name, str(split.samples), str(split.regions), *counts)
    console.print(f"SYNTHETIC DATA, difficulty {result.difficulty}: samples by class", style="bold")
    console.print(table)
    console.print(
        "Scores of the oracle, which uses the true flare rates [95 % interval]", style="bold"
    )
    console.print(_oracle_table(result.oracle))
    print(f"{result.summary.path}: fingerprint {short(result.fingerprint)}")
    print(f"next: mlflow run . -e inspect -P data_dir={result.summary.path}")


def _oracle_table(cards: "dict[str, Scorecard]") -> Table:
    table = plain_table("split", "event", numbers=["events", "TSS", "BSS", "ROC area"])
    for split, card in cards.items():
        for event in card.events:
            scores = [card.get(event, name) for name in _SCORES]
            table.add_row(split, event, str(scores[0].n_events), *map(_with_interval, scores))
    return table


def _with_interval(score: "Score") -> str:
    return "-" if math.isnan(score.value) else score.text(".2f")
