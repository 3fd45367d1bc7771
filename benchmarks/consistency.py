"""Whether MLflow shows one number for one thing: `python -m benchmarks.consistency`.

For every run and every registered version of a store it compares the runs table, the logged model,
the version's tags and description, ``validation.json``, ``test.json``, the table of scores and the
report. Prints a line for each version and evaluation, and every difference; 1 if there is one.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from flare.verification.scorecard import HEADLINE_SCORES

Values = dict[str, float]

_TAG_DIGITS, _TABLE_DIGITS = 6, 12


@dataclass
class Outcome:
    """How many values were compared, by where they stand, and what differs."""

    title: str
    compared: dict[str, int] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)

    def compare(self, where: str, shown: Values, truth: Values, *, digits: int = 15) -> None:
        """Compare all that is shown with what a file says; nothing shown is a difference too."""
        self.compared[where] = self.compared.get(where, 0) + len(shown)
        if not shown:
            self.differing.append(f"{where}: shows nothing")
        for name, value in shown.items():
            true = truth.get(name, math.nan)
            if round(value, digits) != round(true, digits):
                self.differing.append(f"{where}: {name} is {value!r}, the file says {true!r}")

    def line(self) -> str:
        """Return title and counts."""
        counts = ", ".join(f"{where} {n}" for where, n in self.compared.items())
        return f"{self.title}: {'DIFFERS' if self.differing else 'equal'} ({counts})"


def of_file(run_id: str, name: str, split: str) -> Values | None:
    """Return the defined values and intervals of a file of scores, under the names of metrics."""
    try:
        text = mlflow.artifacts.load_text(f"runs:/{run_id}/{name}")
    except (MlflowException, OSError):
        return None
    return of_scores(json.loads(text)["scores"], split)


def of_scores(scores: list[dict[str, object]], split: str) -> Values:
    """Return the scores of a scorecard's JSON under the names of metrics."""
    values: dict[str, object] = {}
    for one in scores:
        path = f"{split}/{one['event']}/{one['name']}"
        values |= {path: one["value"], f"{path}_low": one["low"], f"{path}_high": one["high"]}
        values[f"{split}/{one['event']}/n_events"] = one["n_events"]
    return {name: float(str(value)) for name, value in values.items() if value is not None}


def headline(values: Values, split: str) -> Values:
    """Return those that belong to the headline."""
    names = [f"{split}/{event}/{name}" for event, name in HEADLINE_SCORES]
    wanted = [name + end for name in names for end in ("", "_low", "_high")]
    return {name: values[name] for name in wanted if name in values}


def of_metrics(metrics: Mapping[str, float], split: str) -> Values:
    """Return a run's final scores of its own model on a split."""
    own = {name: value for name, value in metrics.items() if name.startswith(f"{split}/")}
    return {name: value for name, value in own.items() if name.count("/") == 2}


def of_model(model: LoggedModel, split: str) -> Values:
    """Return the scores of a logged model on a split."""
    return {m.key: m.value for m in model.metrics or [] if m.key.startswith(f"{split}/")}


def of_tags(tags: Mapping[str, str], split: str) -> Values:
    """Return the scores in the tags of a version."""
    names = [f"{event}/{name}" for event, name in HEADLINE_SCORES]
    tagged = {name: tags.get(f"flare.{split}_{name.split('/')[1]}") for name in names}
    return {f"{split}/{name}": float(text) for name, text in tagged.items() if text is not None}


def of_table(run: Run, split: str, forecaster: str | None = None) -> Values:
    """Return the values of the table of scores of a run, in whichever experiment it is."""
    where = run.info.experiment_id, "scores.json", [run.info.run_id]
    table = MlflowClient().load_table(*where)
    own = table[(table["subset"] == "all") & (table["split"] == split)]
    own = own[own["forecaster"] == (forecaster or own["forecaster"].iloc[0])]
    rows = own.rename(columns={"score": "name"})
    return of_scores(rows.astype(object).where(pd.notna(rows), None).to_dict("records"), split)


def check_version(client: MlflowClient, version: ModelVersion) -> Outcome:
    """Compare all that is shown of a registered version."""
    outcome = Outcome(f"{version.name} version {version.version}")
    run = client.get_run(str(version.run_id))
    model = client.get_logged_model(str(version.source).removeprefix("models:/"))
    truth = of_file(run.info.run_id, "validation.json", "validation") or {}
    outcome.compare("runs table", of_metrics(run.data.metrics, "validation"), truth)
    outcome.compare("logged model", of_model(model, "validation"), truth)
    outcome.compare("its headline", headline(truth, "validation"), of_model(model, "validation"))
    outcome.compare("score table", of_table(run, "validation"), truth, digits=_TABLE_DIGITS)
    _check_page(outcome, version, truth, "validation")
    others = [m.key for m in model.metrics or [] if not m.key.startswith(("validation/", "test/"))]
    outcome.differing += [f"logged model: {name} is not a score" for name in others]
    no_data = [m.key for m in model.metrics or [] if not m.dataset_name]
    outcome.differing += [f"logged model: {name} names no dataset" for name in no_data]
    test = of_file(run.info.run_id, "test.json", "test")
    if test is not None:
        outcome.compare("test: logged model", of_model(model, "test"), test)
        evaluated = client.get_run(version.tags["flare.test_run"])
        outcome.compare("test: runs table", of_metrics(evaluated.data.metrics, "test"), test)
        _check_page(outcome, version, test, "test")
    return outcome


def _check_page(outcome: Outcome, version: ModelVersion, truth: Values, split: str) -> None:
    """Compare the tags of a version, and look for its scores in its description."""
    tagged = of_tags(version.tags, split)
    if tagged or f"{split}/M1.0/brier_skill_score" in truth:
        outcome.compare(f"{split} tags", tagged, truth, digits=_TAG_DIGITS)
    for name in (f"{split}/{event}/{score}" for event, score in HEADLINE_SCORES):
        if name in truth and f"| {truth[name]:z.3f}" not in (version.description or ""):
            outcome.differing.append(f"description: {name} {truth[name]:z.3f} is not in it")


def check_evaluation(run: Run) -> Outcome:
    """Compare the metrics of an evaluation with its report and its table."""
    outcome = Outcome(f"run {run.info.run_name}")
    text = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/report.json")
    report = json.loads(text)
    split, model = report["data"]["split"], report["model"]
    truth = of_scores(report["forecasters"][model]["scores"], split)
    outcome.compare("runs table", of_metrics(run.data.metrics, split), truth)
    outcome.compare("score table", of_table(run, split, model), truth, digits=_TABLE_DIGITS)
    return outcome


def check_names(client: MlflowClient, run: Run) -> list[str]:
    """Return the final metrics of a run that have more than one value, and misnamed curves."""
    result = []
    for name in run.data.metrics:
        if name.startswith(("system/", "verified/")):  # the latter by month, and again later
            continue
        history = client.get_metric_history(run.info.run_id, name)
        if name.startswith("epoch/") != (history[-1].step > 0):
            result.append(f"run {run.info.run_name}: {name} has step {history[-1].step}")
        if not name.startswith("epoch/") and len({one.value for one in history}) > 1:
            result.append(f"run {run.info.run_name}: {name} has {len(history)} values")
    return result


def outcomes(client: MlflowClient) -> Iterator[Outcome]:
    """Check a whole store."""
    experiments = [one.experiment_id for one in client.search_experiments()]
    runs = list(client.search_runs(experiments))
    names = Outcome(f"{len(runs)} runs")
    names.compared["metric names"] = len({name for run in runs for name in run.data.metrics})
    if not runs:
        names.differing.append(f"there is no run in {mlflow.get_tracking_uri()}")
    names.differing += [line for run in runs for line in check_names(client, run)]
    yield names
    for run in runs:
        if run.data.tags.get("flare.entry") == "evaluate" and run.info.status == "FINISHED":
            yield check_evaluation(run)
    for version in client.search_model_versions():
        yield check_version(client, version)


def main() -> int:
    """Print what was compared, and what differs."""
    bad = 0
    for outcome in outcomes(MlflowClient()):
        print(outcome.line())
        for line in outcome.differing:
            print(f"  {line}")
        bad += len(outcome.differing)
    print(f"{bad} differences")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
