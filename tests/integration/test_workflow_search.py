import csv
import io

import mlflow
import numpy as np
import optuna
import pytest
import torch
from mlflow import MlflowClient

from flare.config.search import SearchConfig
from flare.datasets.pack.reader import Pack
from flare.errors import ConfigInvalid, StorageUnavailable, TrainingDiverged, VerificationInvalid
from flare.tracking.registry import version_tags
from flare.workflows import search
from flare.workflows.fitting import network
from flare.workflows.searching import model_search, summary, trial
from flare.workflows.searching.trial import Trials

from tiny import write_tiny_dataset

RPS = "out_of_fold/flux/ranked_probability_score"


@pytest.fixture
def searched(at_home, tmp_path, monkeypatch):
    """Return a function that searches a few small forests or networks in a storage of its own."""
    spaces = {"trees": (5, 12), "width": (2, 4), "hidden": (4, 8), "batch_size": (4, 8)}
    defaults = {"trees": 10, "width": 2, "hidden": 4, "batch_size": 4}
    real_space, real_defaults = trial.space_of, model_search.default_values

    def small_space(model, config):
        space = dict(real_space(model, config))
        for name in spaces.keys() & space.keys():
            low, high = spaces[name]
            space[name] = type(space[name])(low=low, high=high, log=True)
        return space

    def small_defaults(*given):
        values = dict(real_defaults(*given))
        return values | {name: defaults[name] for name in defaults.keys() & values.keys()}

    monkeypatch.setattr(trial, "space_of", small_space)
    monkeypatch.setattr(model_search, "default_values", small_defaults)

    def run(*, figures=False, **given):
        if not figures:  # they take as long as all the rest
            monkeypatch.setattr(summary, "_figures", lambda *_given: [])
        small = {
            "storage": f"sqlite:///{tmp_path}/search.db",
            "model": "forest",
            "trials": 3,
            "trial_epochs": 2,
            "epochs": 2,
            "accelerator": "cpu",
            "precision": "32-true",
            "resamples": 100,
            "register": False,
            "model_name": "searched",  # `models` has the first versions of the usual name
            "heartbeat": 1,
        }
        return search.run(SearchConfig(**at_home.small | small | given))

    return run


def children(parent):
    wanted = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    runs = MlflowClient().search_runs(["0"], wanted, order_by=["attributes.start_time ASC"])
    return [run for run in runs if run.data.tags["flare.entry"] == "trial"]


def table(run, name: str) -> list[dict[str, str]]:
    text = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/{name}")
    return list(csv.DictReader(io.StringIO(text)))


def figures_of(run) -> set[str]:
    return {one.path for one in MlflowClient().list_artifacts(run.info.run_id, "figures")}


def test_every_trial_is_a_child_run_and_the_parent_compares_the_best_with_the_defaults(
    searched, newest, at_home
):
    (study,) = searched(figures=True).studies
    parent = newest("search")
    trials = children(parent)
    assert [one.info.run_name for one in trials] == ["trial 0", "trial 1", "trial 2"]
    assert {one.data.tags["optuna.state"] for one in trials} == {"COMPLETE"}
    assert {one.info.status for one in trials} == {"FINISHED"}
    assert trials[0].data.params["max_features"] == "0.3"  # the defaults
    assert len({tuple(sorted(one.data.params.items())) for one in trials}) == 3
    assert all(one.inputs.dataset_inputs for one in trials)
    values = [one.data.metrics[RPS] for one in trials]
    assert parent.data.metrics[RPS] == study.value.value == min(values)
    assert parent.data.metrics[f"{RPS}/defaults"] == values[0]
    assert parent.data.metrics["trials/complete"] == 3
    best = trials[int(np.argmin(values))].data.params
    assert {name: parent.data.tags[f"best/{name}"] for name in best.keys() - {"image_size"}} == {
        name: value for name, value in best.items() if name != "image_size"
    }
    assert [row["state"] for row in table(parent, "trials.csv")] == ["COMPLETE"] * 3
    drawn = "optimization_history parallel_coordinates slices parameter_importances contours"
    assert {f"figures/{name}.png" for name in drawn.split()} <= figures_of(parent)
    # The value of a trial is the score of its out-of-fold forecasts, of folds by region.
    rows = table(trials[0], "out_of_fold.csv")
    with (at_home.data / "training" / "meta_data.csv").open() as file:
        labels = {row["id"]: float(row["peak_flux"]) for row in csv.DictReader(file)}
    squares = [
        sum(
            (float(row[f"probability_{event}"]) - (labels[row["id"]] >= threshold)) ** 2
            for event, threshold in (("B1.0", 1e-7), ("C1.0", 1e-6), ("M1.0", 1e-5), ("X1.0", 1e-4))
        )
        for row in rows
    ]
    assert values[0] == pytest.approx(np.mean(squares), rel=1e-9)
    assert {row["fold"] for row in rows} == {"0", "1", "2"}
    of_regions = {(row["id"].split("_")[0], row["fold"]) for row in rows}
    assert len(of_regions) == len({region for region, _ in of_regions})


def test_a_study_is_continued_to_its_total_and_refused_under_other_conditions(searched, newest):
    searched(trials=1)
    first = newest("search")
    searched(trials=2)
    assert newest("search").info.run_id == first.info.run_id
    assert len(children(first)) == 2
    assert searched(trials=2).studies[0].counts == {"COMPLETE": 2}
    for changed, name in (
        ({"objective": "log_loss"}, "objective"),
        ({"objective": "brier_skill_score"}, "direction"),
        ({"split_seed": 1}, "split"),
        ({"seed": 1}, "seed"),
        ({"image_size": 64, "smallest_image_size": 32}, "space and image_size"),
    ):
        with pytest.raises(ConfigInvalid, match=name) as refused:
            searched(**changed)
        assert len(str(refused.value).splitlines()) == 1
    assert MlflowClient().get_run(first.info.run_id).info.status == "FINISHED"


def test_networks_log_each_epoch_use_no_validation_row_and_the_winner_is_registered(
    searched, newest, at_home, monkeypatch
):
    opened, used = [], []
    split, batches = Pack.split, network.Trainer._batches
    monkeypatch.setattr(Pack, "split", lambda pack, name: opened.append(name) or split(pack, name))

    def spied(trainer, rows):
        if trainer.options.epochs == 2:  # a trial
            used.append(set(rows.tolist()) & set(trainer.data.split.validation.tolist()))
        return batches(trainer, rows)

    monkeypatch.setattr(network.Trainer, "_batches", spied)
    given = {"model": "cnn", "trials": 2, "epochs": 3, "register": True}
    (trained,) = searched(**given).trained
    parent = newest("search")
    trial = children(parent)[0]
    history = MlflowClient().get_metric_history(trial.info.run_id, "epoch/train/loss")
    assert [one.step for one in history] == [1, 2]
    assert trial.info.start_time < history[0].timestamp < history[1].timestamp
    assert history[1].timestamp <= trial.info.end_time
    assert "epoch/out_of_fold/cross_entropy" in trial.data.metrics
    assert set(opened) == {"training"}
    assert used
    assert not any(used)
    run = newest("train")
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (run.data.params["epochs"], run.data.params["architecture"]) == ("3", "cnn")
    assert run.data.params["data_dir"] == str(at_home.data)
    best = {key[5:]: value for key, value in parent.data.tags.items() if key.startswith("best/")}
    assert {name: run.data.params[name] for name in best} == best
    tags = version_tags(trained.version)
    assert tags["flare.study"] == "flare-cnn"
    assert "training regions" in tags["flare.searched_on"]
    assert searched(**given).trained == ()  # the same command again has nothing to do


def test_two_objectives_and_image_sizes(searched, newest, tmp_path):
    result = searched(
        figures=True,
        objective="brier_skill_score,log10_flux_mae",
        pruner="none",
        image_size=64,
        smallest_image_size=32,
        pack_dir=tmp_path / "a pack",
    )
    parent = newest("search")
    sizes = {one.data.params["image_size"] for one in children(parent)}
    assert {"64"} <= sizes <= {"32", "64"}
    scores = [one.data.metrics["out_of_fold/M1.0/brier_skill_score"] for one in children(parent)]
    assert result.studies[0].value.value == max(scores)
    assert "figures/pareto_front.png" in figures_of(parent)


def test_trials_that_diverge_or_fill_the_memory_fail_alone(searched, newest, monkeypatch):
    errors = [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
        TrainingDiverged("the loss is NaN"),
    ]

    class Loss:
        def __init__(self, honest):
            self.honest = honest

        def __call__(self, *given):
            if errors:
                raise errors.pop()
            return self.honest(*given)

    honest = network.build_loss
    monkeypatch.setattr(network, "build_loss", lambda *given: Loss(honest(*given)))
    result = searched(model="cnn", trials=3, trial_epochs=1)
    trials = children(newest("search"))
    assert [one.info.status for one in trials] == ["FAILED", "FAILED", "FINISHED"]
    assert [one.data.tags["optuna.state"] for one in trials] == ["FAIL", "FAIL", "COMPLETE"]
    assert trials[0].data.tags["flare.error"] == "the loss is NaN"
    assert result.studies[0].defaults is None


def test_a_pruned_trial_says_after_which_epoch(searched, newest, monkeypatch):
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: trial.number == 1)
    (study,) = searched(model="cnn", trials=2).studies
    pruned = children(newest("search"))[1]
    assert (pruned.info.status, pruned.data.tags["optuna.state"]) == ("KILLED", "PRUNED")
    assert "after epoch 1 of 2" in pruned.data.tags["flare.pruned"]
    assert study.counts == {"COMPLETE": 1, "PRUNED": 1}
    assert study.saved == pytest.approx(1 / 4)


def test_an_interrupted_trial_is_run_again_with_the_same_values(searched, newest, monkeypatch):
    real = Trials._forecasts

    def interrupted(self, study, trial, *given):
        if trial.number == 1:
            raise KeyboardInterrupt
        return real(self, study, trial, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Trials, "_forecasts", interrupted)
        with pytest.raises(KeyboardInterrupt):
            searched()
    parent = newest("search")
    assert parent.info.status == "KILLED"
    assert [one.info.status for one in children(parent)] == ["FINISHED", "KILLED"]
    (study,) = searched().studies
    assert study.counts == {"COMPLETE": 3}
    trials = children(parent)
    assert trials[1].data.params == trials[-1].data.params
    assert MlflowClient().get_run(parent.info.run_id).info.status == "FINISHED"


def test_a_trial_that_was_counted_as_lost_is_not_counted_twice_and_ends_alone(
    searched, newest, monkeypatch
):
    real = Trials._forecasts

    def counted_as_lost(self, study, trial, *given):
        if trial.number == 1:  # as another process does, after too long without a sign of life
            state = optuna.trial.TrialState.FAIL
            study.storage.set_trial_state_values(study._trial_id(trial.number), state)
            trial.set_user_attr("too", "late")
        return real(self, study, trial, *given)

    monkeypatch.setattr(Trials, "_forecasts", counted_as_lost)
    (study,) = searched().studies
    assert study.counts == {"COMPLETE": 2, "FAIL": 1}
    trials = children(newest("search"))
    assert [one.info.status for one in trials] == ["FINISHED", "FAILED", "FINISHED"]
    assert [one.data.tags["optuna.state"] for one in trials] == ["COMPLETE", "FAIL", "COMPLETE"]


def test_no_trial_is_started_after_the_timeout(searched):
    (study,) = searched(trials=60, timeout=0.5).studies
    assert 1 <= study.counts["COMPLETE"] < 60
    assert study.counts["COMPLETE"] + study.counts["WAITING"] == 60


def test_a_search_without_a_single_event_says_so(searched, newest, tmp_path):
    quiet = write_tiny_dataset(tmp_path / "quiet", test_regions=1, labels=(1e-9, 2e-6))
    with pytest.raises(VerificationInvalid, match=r"none of the 1 trials .* has a value"):
        searched(data_dir=quiet, trials=1, objective="brier_skill_score", study="quiet")
    assert newest("search").info.status == "FAILED"


@pytest.mark.parametrize(
    ("storage", "error", "words"),
    [
        ("not an address", ConfigInvalid, "is not an address of a database"),
        ("mysql://someone:secret@127.0.0.1:1/x", ConfigInvalid, "a driver that is not installed"),
        ("postgresql://someone:secret@127.0.0.1:1/x", StorageUnavailable, "does not answer"),
        ("sqlite:///{path}/text.db", StorageUnavailable, "not a database"),
    ],
)
def test_a_storage_that_cannot_be_used_is_one_line(
    searched, tmp_path, monkeypatch, storage, error, words
):
    monkeypatch.setattr("flare.workflows.searching.storage.PATIENCE_AT_START", 0.1)
    (tmp_path / "text.db").write_text("these are words\n" * 100)
    with pytest.raises(error, match=words) as refused:
        searched(storage=storage.format(path=tmp_path))
    assert len(str(refused.value).splitlines()) == 1
    assert "secret" not in str(refused.value)


def test_a_process_that_joins_the_studies_of_all_models_leaves_their_comparison_to_the_leader(
    at_home, monkeypatch
):
    class Joining:
        def __init__(self, config, model):
            self.line = f"study search-{model}: 1 trials were run here; another process reports it"

        def run(self):
            return model_search.SearchResult(joined=(self.line,))

    monkeypatch.setattr(search, "ModelSearch", Joining)
    result = search.run(SearchConfig(**at_home.small | {"model": "all"}))
    assert result.studies == ()
    assert len(result.lines()) == len(search.MODELS)
