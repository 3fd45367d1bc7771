"""Check tables of samples: what two sides of a split share, and labels that mislead.

Tables have the columns of `read_table` except ``folder``. Cases between sides are counted on the
right one, which is scored or used for selection.

In SDOBenchmark ids of flaring ranges have seconds, since a range begins at a flare, and quiet
windows have fractions of a second, since they were spread evenly over the remaining time
(i4Ds/SDOBenchmark, meta_data.csv). A model that is fed them scores without looking at the Sun.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.tree import DecisionTreeRegressor

from flare.datasets.audit.checks import MAX_EXAMPLES, AuditFinding, Verdict, audit_finding, skipped
from flare.datasets.splits import MAX_GROUP, neighbours, region_groups
from flare.goes import HEADLINE_EVENT, QUIET_FLUX, flux_of_class
from flare.sample import FORECAST_WINDOW_HOURS

#: ROC area of the time stamps above which there is a warning.
ROC_LIMIT = 0.6

_FOLDS, _DEPTH = 5, 4


def audit_sides(left: pd.DataFrame, right: pd.DataFrame, *, place: str) -> list[AuditFinding]:
    """Check what two sides share; ``place`` names the right one, ``test`` or ``validation``."""
    regions = set(right["active_region"].tolist())
    shared = sorted(regions.intersection(left["active_region"]))
    siblings = (f"{one} | {other}" for one, other in _siblings(left, right))
    same = right["id"][right["id"].isin(left["id"])]
    return [
        audit_finding("shared_regions", place, map(str, shared), total=len(regions)),
        audit_finding("siblings_apart", place, siblings, total=len(right)),
        _neighbours_apart(left, right, place),
        audit_finding("same_ids", place, same, total=len(right)),
    ]


def _siblings(left: pd.DataFrame, right: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield each sample on the right with a sibling on the left, and the first of these.

    Siblings are of one range, or of one region with overlapping 36 h.
    """
    own = dict(iter(left.groupby("active_region")))
    ahead = np.timedelta64(FORECAST_WINDOW_HOURS, "h")
    for region, rows in right.groupby("active_region"):
        if region in own:
            others = own[region]
            begin, end = (
                [one[column].to_numpy() for one in (others, rows)] for column in ("start", "end")
            )
            common = (begin[0][:, None] < end[1] + ahead) & (begin[1] < end[0][:, None] + ahead)
            ranges = [one["id"].str.rpartition("_")[0].to_numpy() for one in (others, rows)]
            related = common | (ranges[0][:, None] == ranges[1])  # (left, right)
            for column in np.flatnonzero(related.any(axis=0)):
                first = int(related[:, column].argmax())
                yield str(others["id"].iloc[first]), str(rows["id"].iloc[column])


def _neighbours_apart(left: pd.DataFrame, right: pd.DataFrame, place: str) -> AuditFinding:
    """Count pairs of regions of close numbers, visible at the same time, on different sides.

    The published split has such pairs between training and test. Between training and validation
    there are only those that would make a group larger than ``MAX_GROUP``: any other pair means
    that `split_by_region` did not make the split.
    """
    table = pd.concat([left, right], ignore_index=True)
    known = list(neighbours(table))
    on_left, on_right = (set(side["active_region"].tolist()) for side in (left, right))
    apart = [
        (first, second)
        for _, _, first, second in known
        if (first in on_left) != (second in on_left) and (first in on_right) != (second in on_right)
    ]
    together, note = [], ""
    if place == "validation" and apart:
        group_of = {one: group for group in region_groups(table) for one in group}
        together = [pair for pair in apart if pair[1] in group_of[pair[0]]]
        note = f"all {len(apart)} would make groups of more than {MAX_GROUP} regions"
        if together:
            note = (
                f"{len(together)} of them belong together in this project's split: this is "
                "another one"
            )
    return audit_finding(
        "neighbours_apart",
        place,
        (f"{first} | {second}" for first, second in together or apart),
        count=len(apart),
        total=len(known),
        verdict=Verdict.INVALID if together else None,
        note=note,
    )


def nowcasts(table: pd.DataFrame, *, place: str) -> AuditFinding:
    """Count flaring samples of index 1 or more.

    In ranges of 48 h the sample ``_1`` ends at the flare's peak, and its last image is within the
    flare (i4Ds/SDOBenchmark, the pipeline that cuts the samples).
    """
    flux = table["peak_flux"]
    flaring, event = flux > QUIET_FLUX, flux >= flux_of_class(HEADLINE_EVENT)
    late = table["window_index"] >= 1
    late_events, events = int((event & late).sum()), int(event.sum())
    strongest = table[flaring & late].sort_values("peak_flux", ascending=False, kind="stable")
    return audit_finding(
        "nowcasts",
        place,
        strongest["id"],
        total=int(flaring.sum()),
        note=f"{late_events} of the {events} events of at least {HEADLINE_EVENT} among them",
        figures={"events": late_events, "all_events": events},
    )


def duplicate_samples(table: pd.DataFrame, *, place: str) -> AuditFinding:
    """Count samples whose id, or whose region and window, occurs twice."""
    window = ["active_region", "start", "end"]
    again = table.duplicated(window) | table["id"].duplicated()
    return audit_finding("duplicate_samples", place, table["id"][again], total=len(table))


def contradicting_labels(tables: Sequence[pd.DataFrame], *, place: str) -> AuditFinding:
    """Count samples of one region and forecast window whose labels differ, in all tables."""
    table = pd.concat(tables, ignore_index=True)
    labels = table.groupby(["active_region", "end"])["peak_flux"].transform("nunique")
    wrong = table[labels > 1].sort_values(["active_region", "end"], kind="stable")
    cases = (f"{row.id} has {row.peak_flux:.4g}" for row in wrong.itertuples())
    return audit_finding("contradicting_labels", place, cases, total=len(table))


def timestamp_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers that ids and times reveal by how they are written, one row per sample."""
    start = table["start"]
    return pd.DataFrame(
        {
            "id_seconds": table["id"].str.split("_").str[-2].astype("int64"),
            "fraction": ((start - start.dt.floor("s")) / pd.Timedelta(seconds=1)).astype("float64"),
            "window_index": table["window_index"].astype("int64"),
            "hour_of_day": (start - start.dt.normalize()) / pd.Timedelta(hours=1),
            "day_of_year": start.dt.day_of_year.astype("int64"),
        }
    )


def timestamps_tell_label(table: pd.DataFrame, *, place: str) -> AuditFinding:
    """Forecast the label from time stamps with a small tree, cross-validated by active region.

    A warning where the ROC area of "flaring or quiet", or of the headline event, is above
    ``ROC_LIMIT`` and by two standard errors above that of guessing, by the number of regions.
    """
    regions = table["active_region"].to_numpy()
    if len(set(regions.tolist())) < _FOLDS:
        return skipped("timestamps_tell_label", place, f"fewer than {_FOLDS} active regions")
    columns = timestamp_columns(table)
    flux = table["peak_flux"].to_numpy(dtype=np.float64)
    figures, predictive = _timestamp_scores(columns, flux, regions)
    odd = (columns["id_seconds"] != 0) | (columns["fraction"] > 0)
    return AuditFinding(
        "timestamps_tell_label",
        place,
        Verdict.WARNING if predictive else Verdict.OK,
        int(odd.sum()),
        len(table),
        tuple(table["id"][odd][:MAX_EXAMPLES]),
        f"{int(odd.sum())} samples with seconds in the id or a fraction in start; {_text(figures)}",
        figures,
    )


def _timestamp_scores(
    columns: pd.DataFrame, flux: NDArray[np.float64], regions: NDArray[np.int64]
) -> tuple[dict[str, float], bool]:
    """Return scores of trees on time stamps, and whether one of them forecasts an event."""
    inputs = np.column_stack(
        [columns["id_seconds"] != 0, columns["fraction"] > 0, columns.iloc[:, 2:]]
    ).astype(np.float64)

    def predict(model: RegressorMixin, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict each sample by a model that was fitted on other regions."""
        folds = GroupKFold(_FOLDS)
        return np.asarray(cross_val_predict(model, inputs, target, groups=regions, cv=folds))

    n_fitted = len(flux) * (_FOLDS - 1) // _FOLDS
    tree = {"max_depth": _DEPTH, "min_samples_leaf": max(5, n_fitted // 50), "random_state": 0}
    figures, predictive = {}, False
    events = {"flaring": flux > QUIET_FLUX, HEADLINE_EVENT: flux >= flux_of_class(HEADLINE_EVENT)}
    for name, truth in events.items():
        if 0 < truth.sum() < len(truth):
            score = predict(DecisionTreeRegressor(**tree), truth.astype(np.float64))
            area = float(roc_auc_score(truth, score))
            figures[f"roc_area_{name}"] = area
            figures[f"accuracy_{name}"] = float(((score >= 0.5) == truth).mean())
            figures[f"base_accuracy_{name}"] = float(max(truth.mean(), 1 - truth.mean()))
            predictive |= area > max(ROC_LIMIT, 0.5 + 2 * _guessing_error(truth, regions))
    log_flux = np.log10(flux)
    medians = DecisionTreeRegressor(**tree, criterion="absolute_error")
    if (spread := float(log_flux.var())) > 0:
        errors = predict(DecisionTreeRegressor(**tree), log_flux) - log_flux
        figures["log_flux_r2"] = 1 - float((errors**2).mean()) / spread
    for name, model in (("", medians), ("_constant", DummyRegressor(strategy="median"))):
        figures[f"log_flux_mae{name}"] = float(np.abs(predict(model, log_flux) - log_flux).mean())
    return figures, predictive


def _guessing_error(truth: NDArray[np.bool_], regions: NDArray[np.int64]) -> float:
    """Return the standard error of a random ROC area, with regions as the independent units.

    That of Mann and Whitney's U: sqrt((n1 + n0 + 1) / (12 n1 n0)), doi:10.1214/aoms/1177730491.
    """
    yes, no = (len(set(regions[mask].tolist())) for mask in (truth, ~truth))
    return float(np.sqrt((yes + no + 1) / (12 * yes * no)))


def _text(figures: dict[str, float]) -> str:
    areas = [
        f"{figures[key]:.2f} of {key.removeprefix('roc_area_')}"
        for key in figures
        if key.startswith("roc_area_")
    ]
    return (
        f"a small tree on time stamps alone has a ROC area of {' and '.join(areas) or 'nothing'}, "
        f"and a log10-flux error of {figures['log_flux_mae']:.2f} dex, compared with "
        f"{figures['log_flux_mae_constant']:.2f} of a constant"
    )
