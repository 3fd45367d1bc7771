"""Labels: samples that see their flare, samples that count twice, labels that contradict."""

from collections.abc import Sequence

import pandas as pd

from flare.datasets.audit.checks import AuditFinding, Verdict, met
from flare.goes import HEADLINE_EVENT, QUIET_FLUX, flux_of_class


def nowcasts(table: pd.DataFrame, *, place: str) -> AuditFinding:
    """Count flaring samples of index 1 or more.

    In ranges of 48 h the sample ``_1`` ends at the flare's peak, and its last image is inside the
    flare (i4Ds/SDOBenchmark, the pipeline that cuts the samples).
    """
    flux = table["peak_flux"]
    flaring, event = flux > QUIET_FLUX, flux >= flux_of_class(HEADLINE_EVENT)
    late = table["window_index"] >= 1
    some, events = int((event & late).sum()), int(event.sum())
    strongest = table[flaring & late].sort_values("peak_flux", ascending=False, kind="stable")
    return met(
        "nowcasts",
        place,
        Verdict.WARNING,
        strongest["id"],
        count=len(strongest),
        total=int(flaring.sum()),
        note=f"{some} of the {events} events of at least {HEADLINE_EVENT} among them",
        figures={"events": some, "all_events": events},
    )


def duplicate_samples(table: pd.DataFrame, *, place: str) -> AuditFinding:
    """Look for an id that is there twice, and for one region and window under several ids."""
    window = ["active_region", "start", "end"]
    again = table.duplicated(window) | table["id"].duplicated()
    return met(
        "duplicate_samples",
        place,
        Verdict.WARNING,
        table["id"][again],
        count=int(again.sum()),
        total=len(table),
    )


def contradicting_labels(tables: Sequence[pd.DataFrame], *, place: str) -> AuditFinding:
    """Look for samples of one region and forecast window whose labels differ, in all tables."""
    table = pd.concat(tables, ignore_index=True)
    labels = table.groupby(["active_region", "end"])["peak_flux"].transform("nunique")
    wrong = table[labels > 1].sort_values(["active_region", "end"], kind="stable")
    return met(
        "contradicting_labels",
        place,
        Verdict.WARNING,
        (f"{row.id} has {row.peak_flux:.4g}" for row in wrong.itertuples()),
        count=len(wrong),
        total=len(table),
    )
