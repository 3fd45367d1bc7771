"""How much of the label the time stamps alone tell.

In SDOBenchmark ids of flaring ranges have seconds, since a range begins at a flare, and quiet
windows have fractions of a second, since they were spread evenly over what was left (i4Ds/
SDOBenchmark, meta_data.csv). A model that is fed them scores without looking at the Sun.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyRegressor
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from flare.datasets.audit.checks import MAX_EXAMPLES, AuditFinding, Verdict, skipped
from flare.goes import HEADLINE_EVENT, QUIET_FLUX, flux_of_class

#: Above this ROC area the time stamps are worth a warning.
ROC_LIMIT = 0.6

FOLDS = 5
_DEPTH = 4
_SECOND = pd.Timedelta(seconds=1)


def timestamp_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Return what the writing of ids and times shows, numbers only, one row per sample."""
    start = table["start"]
    return pd.DataFrame(
        {
            "id_seconds": table["id"].str.split("_").str[-2].astype("int64"),
            "fraction": ((start - start.dt.floor("s")) / _SECOND).astype("float64"),
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
    if len(set(regions.tolist())) < FOLDS:
        return skipped("timestamps_tell_label", place, f"fewer than {FOLDS} active regions")
    columns = timestamp_columns(table)
    inputs = np.column_stack(
        [columns["id_seconds"] != 0, columns["fraction"] > 0, columns.iloc[:, 2:]]
    ).astype(np.float64)
    flux = table["peak_flux"].to_numpy(dtype=np.float64)
    flaring, event = flux > QUIET_FLUX, flux >= flux_of_class(HEADLINE_EVENT)
    figures, telling = {}, False
    for name, truth in (("flaring", flaring), (HEADLINE_EVENT, event)):
        if 0 < truth.sum() < len(truth):
            score = _predicted(inputs, truth, regions, _probabilities)
            area = float(roc_auc_score(truth, score))
            figures[f"roc_area_{name}"] = area
            figures[f"accuracy_{name}"] = float(((score >= 0.5) == truth).mean())
            figures[f"base_accuracy_{name}"] = float(max(truth.mean(), 1 - truth.mean()))
            telling |= area > max(ROC_LIMIT, 0.5 + 2 * _guessing_error(truth, regions))
    figures |= _log_flux_skill(inputs, np.log10(flux), regions)
    odd = (columns["id_seconds"] != 0) | (columns["fraction"] > 0)
    return AuditFinding(
        "timestamps_tell_label",
        place,
        Verdict.WARNING if telling else Verdict.OK,
        int(odd.sum()),
        len(table),
        tuple(table["id"][odd][:MAX_EXAMPLES]),
        f"{int(odd.sum())} samples with seconds in the id or a fraction in start; {_told(figures)}",
        figures,
    )


_Fit = Callable[
    [NDArray[np.float64], NDArray[np.generic], NDArray[np.float64]], NDArray[np.float64]
]


def _predicted(
    inputs: NDArray[np.float64], truth: NDArray[np.generic], regions: NDArray[np.int64], fit: _Fit
) -> NDArray[np.float64]:
    """Return the prediction for each sample of a model that has not seen its region."""
    out = np.empty(len(truth))
    for known, held in GroupKFold(FOLDS).split(inputs, truth, regions):
        out[held] = fit(inputs[known], truth[known], inputs[held])
    return out


def _tree(kind: type[Any], n: int, **settings: str) -> Any:
    return kind(max_depth=_DEPTH, min_samples_leaf=max(5, n // 50), random_state=0, **settings)


def _probabilities(
    inputs: NDArray[np.float64], truth: NDArray[np.generic], held: NDArray[np.float64]
) -> NDArray[np.float64]:
    tree = _tree(DecisionTreeClassifier, len(truth)).fit(inputs, truth)
    return np.asarray(tree.predict_proba(held) @ tree.classes_.astype(np.float64))


def _means(
    inputs: NDArray[np.float64], truth: NDArray[np.generic], held: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(_tree(DecisionTreeRegressor, len(truth)).fit(inputs, truth).predict(held))


def _medians(
    inputs: NDArray[np.float64], truth: NDArray[np.generic], held: NDArray[np.float64]
) -> NDArray[np.float64]:
    tree = _tree(DecisionTreeRegressor, len(truth), criterion="absolute_error")
    return np.asarray(tree.fit(inputs, truth).predict(held))


def _constant(
    inputs: NDArray[np.float64], truth: NDArray[np.generic], held: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(DummyRegressor(strategy="median").fit(inputs, truth).predict(held))


def _log_flux_skill(
    inputs: NDArray[np.float64], log_flux: NDArray[np.float64], regions: NDArray[np.int64]
) -> dict[str, float]:
    """Return R^2 against the mean, and the error in dex beside that of the constant median."""
    errors = {
        fit: _predicted(inputs, log_flux, regions, fit) - log_flux
        for fit in (_means, _medians, _constant)
    }
    spread = float(((log_flux - log_flux.mean()) ** 2).sum())
    r2 = {"log_flux_r2": 1 - float((errors[_means] ** 2).sum()) / spread} if spread > 0 else {}
    return {
        **r2,
        "log_flux_mae": float(np.abs(errors[_medians]).mean()),
        "log_flux_mae_constant": float(np.abs(errors[_constant]).mean()),
    }


def _guessing_error(truth: NDArray[np.bool_], regions: NDArray[np.int64]) -> float:
    """Return the standard error of a guesser's ROC area, with regions as what is independent.

    That of Mann and Whitney's U: sqrt((n1 + n0 + 1) / (12 n1 n0)), doi:10.1214/aoms/1177730491.
    """
    yes, no = (len(set(regions[mask].tolist())) for mask in (truth, ~truth))
    return float(np.sqrt((yes + no + 1) / (12 * yes * no)))


def _told(figures: dict[str, float]) -> str:
    areas = [
        f"{figures[key]:.2f} of {key.removeprefix('roc_area_')}"
        for key in figures
        if key.startswith("roc_area_")
    ]
    return (
        f"a small tree on time stamps alone has a ROC area of {' and '.join(areas) or 'nothing'}, "
        f"and a log10-flux error of {figures['log_flux_mae']:.2f} dex beside "
        f"{figures['log_flux_mae_constant']:.2f} of a constant"
    )
