"""The oracle: uses the generator's true rates of a synthetic dataset; an upper bound on skill.

A test split that was selected by its labels has more flares than the true rates, and a forecaster
that is calibrated to it may score higher there. Only scoring reads ``oracle/oracle.csv``.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from flare.errors import DatasetInvalid
from flare.forecast import Forecast
from flare.goes import EVENTS, event_outcomes
from flare.verification.contingency import best_threshold
from flare.verification.resampling import TrueProbabilities

_QUANTILES = ("log10_flux_q05", "log10_flux_q50", "log10_flux_q95")


def oracle_of(data_dir: Path, table: pd.DataFrame, training: pd.DataFrame) -> Forecast | None:
    """Return the oracle's forecasts; None without an ``oracle.csv``.

    ``table`` and ``training`` are labels of the samples to forecast and of the training split, on
    which decision thresholds are chosen.

    Raises DatasetInvalid: the table is damaged, made by an older version, or lacks a sample.
    """
    path = data_dir / "oracle" / "oracle.csv"
    if not path.is_file():
        return None
    known = _read(path)
    rows, training_rows = _rows(known, table, path), _rows(known, training, path)
    outcomes = event_outcomes(training["peak_flux"].to_numpy(dtype=np.float64), EVENTS)
    low, median, high = (rows[name].to_numpy(dtype=np.float64) for name in _QUANTILES)
    return Forecast(
        log10_flux=median,
        lower=low,
        upper=high,
        probability=_probabilities(rows),
        events=EVENTS,
        thresholds={
            event: best_threshold(outcomes[:, k], _probabilities(training_rows)[:, k])
            for k, event in enumerate(EVENTS)
        },
    )


def true_probabilities(data_dir: Path, table: pd.DataFrame, split: str) -> TrueProbabilities | None:
    """Return the true probability of each event; None where they are unknown or biased.

    They are too low for test regions that were selected by their labels: see
    ``flare.datasets.synthetic``.
    """
    path = data_dir / "oracle" / "oracle.csv"
    if not path.is_file() or (split == "test" and not _as_observed(data_dir)):
        return None
    rows = _rows(_read(path), table, path)
    return TrueProbabilities(
        _probabilities(rows), EVENTS, table["active_region"].to_numpy(np.int64)
    )


def _as_observed(data_dir: Path) -> bool:
    path = data_dir / "dataset.json"
    made = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return bool(made.get("test") == "as_observed")


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"id": str}).set_index("id")
    except (ValueError, KeyError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DatasetInvalid(
            f"{path} is not a table with an id ({reason}); delete it, or make the dataset again"
        ) from error


def _rows(known: pd.DataFrame, table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the oracle's rows in the order of a table of labels."""
    wanted = [*_QUANTILES, *(f"p_{event}" for event in EVENTS)]
    unknown = [name for name in wanted if name not in known.columns]
    if unknown:
        raise DatasetInvalid(
            f"{path} has no {' and no '.join(unknown)}: an older version made it; make the dataset "
            "again with `mlflow run . -e synthesize`, or delete the file to do without the oracle"
        )
    usable = not known.index.has_duplicates
    rows = known.reindex(index=table["id"], columns=wanted) if usable else known
    rows = rows.apply(pd.to_numeric, errors="coerce")
    if not usable or rows.isna().to_numpy().any():
        raise DatasetInvalid(
            f"{path} lacks samples of its dataset; delete it, or make the dataset "
            "again with `mlflow run . -e synthesize`"
        )
    return pd.DataFrame(rows)


def _probabilities(rows: pd.DataFrame) -> np.ndarray:
    return rows[[f"p_{event}" for event in EVENTS]].to_numpy(dtype=np.float64)
