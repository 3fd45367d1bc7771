"""The search of one model, as one process takes part in it: it leads the study, or joins it."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from optuna.trial import TrialState

from flare.config import BaselineConfig
from flare.config.search import SearchConfig
from flare.errors import ProcessLost
from flare.tracking.child_runs import end_lost_children, is_known
from flare.tracking.registry import tag_version
from flare.tracking.runs import Run, start
from flare.tracking.tags import SEARCHED_TAG, STUDY_TAG, TRIAL_TAG
from flare.training.processes import defer_signals
from flare.workflows import baseline, train
from flare.workflows.fitting.environment import log_environment
from flare.workflows.fitting.registration import Trained
from flare.workflows.fitting.training_data import TrainingData, log_part, training_rows
from flare.workflows.searching.objective import objectives_of
from flare.workflows.searching.samplers import pruner_of, sampler_of
from flare.workflows.searching.space import (
    FOREST,
    Values,
    default_values,
    entry_config,
    space_of,
    space_text,
)
from flare.workflows.searching.storage import open_storage, shown_storage
from flare.workflows.searching.study import FINISHED, SharedStudy
from flare.workflows.searching.summary import (
    Found,
    best_trial,
    counts_by_state,
    listed,
    log_summary,
    summarise,
)
from flare.workflows.searching.trial import TrialData, Trials
from flare.workflows.searching.workers import running_workers

log = logging.getLogger("flare")

_PAUSE = 1.0  # seconds between looks at what other processes do

#: Parameters that may change when a study is continued, or that are no business of MLflow.
_NOT_LOGGED = {"trials", "timeout", "workers", "storage", "heartbeat"}


@dataclass(frozen=True)
class SearchResult:
    """What each study found, and the versions that were registered.

    ``joined`` says that another process leads the only study, and reports it.
    """

    found: tuple[Found, ...]
    trained: tuple[Trained, ...]
    comparison: tuple[str, ...] = ()
    joined: str = ""

    def lines(self) -> list[str]:
        """Return the lines for the terminal."""
        lines = [self.joined] if self.joined else []
        lines += [line for one in self.found for line in one.lines()]
        lines += [line for one in self.trained for line in one.lines()]
        return [*lines, *self.comparison]


class ModelSearch:
    """The study of one model, as this process takes part in it."""

    def __init__(self, config: SearchConfig, model: str) -> None:
        self.config, self.model = config, model
        self.data = training_rows(config)
        self.space = space_of(model, config)
        self.objectives = objectives_of(config.objective)
        self.defaults = default_values(model, self.space, config)
        several = len(self.objectives) > 1
        storage = open_storage(config.storage, heartbeat=config.heartbeat)
        self.study = SharedStudy(
            storage,
            f"{config.study}-{model}",
            directions=[one.direction for one in self.objectives],
            conditions=self._conditions(),
            sampler=sampler_of(config.sampler, several_objectives=several),
            pruner=pruner_of(config.pruner, epochs=config.trial_epochs),
            seed=config.seed,
            heartbeat=config.heartbeat,
        )
        trial_data = TrialData(config, self.data)
        self.trials = Trials(config, model, self.space, self.objectives, trial_data)
        self.ends = float("inf")

    def _conditions(self) -> dict[str, str]:
        """Return what all trials of the study have in common."""
        config = self.config
        shared: dict[str, object] = {
            "model": self.model,
            "objective": config.objective,
            "space": space_text(self.space),
            "dataset": self.data.pack.fingerprint,
            "split": self.data.split.fingerprint,
            "image_size": config.image_size,
            "folds": config.folds,
            "seed": config.seed,
        }
        if self.model != FOREST:
            shared["trial_epochs"] = config.trial_epochs
        return {name: str(value) for name, value in shared.items()}

    def run(self) -> SearchResult:
        """Join the study while another process leads it, and lead it if that one is lost."""
        try:
            return self._run()
        finally:
            self.study.close()

    def _run(self) -> SearchResult:
        n_run, joined = 0, False
        self._start_clock()
        while not self.study.try_to_lead():
            joined, parent = True, self.study.run_id
            if parent is not None:  # None before the leader has started it
                n_run += self._work(parent)
            if self.study.is_finishing() or time.monotonic() >= self.ends:
                return self._joined(n_run)
            time.sleep(_PAUSE)
        with self.study.leading():
            finished = self.study.outcome is not None and not self.study.is_busy(self.config.trials)
            return self._joined(n_run) if joined and finished else self._lead()

    def _joined(self, n_run: int) -> SearchResult:
        line = f"study {self.study.name}: {n_run} trials were run here; another process reports it"
        return SearchResult((), (), joined=line)

    def _lead(self) -> SearchResult:
        """Open the study's MLflow run, have its trials run, and train with the best parameters."""
        config, study = self.config, self.study
        former = study.run_id
        if former is not None and not is_known(former):
            log.warning("the MLflow run %s of study %s is gone: a new one", former, study.name)
            former = None
        name = f"search {study.name}"
        with start("search", name=name, watch=True, resume=former, reopen=True) as tracked:
            study.set_run(tracked.id)
            self._log_start(tracked, new=former is None)
            study.queue(config.trials, self.defaults)
            self._start_clock()
            if not study.is_busy(config.trials):
                log.info("study %s has its %d trials already", study.name, config.trials)
            elif config.workers == 1:
                self._work(tracked.id, after=lambda: self._log_progress(tracked))
            else:
                self._have_workers_run(tracked)
            self._end_lost(tracked)
            study.say_finishing()
            found = summarise(
                study,
                self.model,
                self.objectives,
                self.data,
                trial_epochs=config.trial_epochs,
                resamples=config.resamples,
            )
            log_summary(tracked, study, found, self.data)
            if not config.register:
                study.set_outcome(found.best.number, None)
                return SearchResult((found,), ())
            log.info("%s", "\n".join(found.lines()))
            trained = self._train_winner(found)
            return SearchResult((found,), () if trained is None else (trained,))

    def _train_winner(self, found: Found) -> Trained | None:
        """Train with the best parameters; None if a version has them already."""
        before = self.study.outcome or {}
        version = before.get("version")
        if version and before.get("trial") == found.best.number:
            log.info("version %s was trained with these parameters already", version)
            return None
        trained = train_winner(
            self.model,
            dict(found.best.params),
            self.config,
            self.data,
            study=self.study.name,
            trial=found.best.number,
        )
        self.study.set_outcome(found.best.number, trained.version.version)
        return trained

    def _start_clock(self) -> None:
        if self.config.timeout:
            self.ends = time.monotonic() + self.config.timeout

    def _log_start(self, tracked: Run, *, new: bool) -> None:
        config = self.config
        log_environment(tracked)
        if new:
            tracked.log_config(config, without=_NOT_LOGGED)
        tracked.set_tags(
            {
                STUDY_TAG: self.study.name,
                "flare.trials": config.trials,
                "flare.storage": shown_storage(config.storage),
            }
        )
        for part in ("training", "validation"):
            log_part(tracked, self.data, config.data_dir, part)
        counts = counts_by_state(self.study.trials())
        log.info(
            "study %s in %s: %d trials%s",
            self.study.name,
            shown_storage(config.storage),
            config.trials,
            f", continued from {listed(counts)}" if counts else "",
        )

    def _work(self, parent_id: str, *, after: Callable[[], None] = lambda: None) -> int:
        """Run trials until none waits or runs, or the time is up; return how many."""
        done = 0
        # Ctrl-C in the middle of a write would leave MLflow's database locked for the others.
        with defer_signals() as stop:
            while time.monotonic() < self.ends and not stop():
                trial = self.study.claim(self.config.trials)
                if trial is None:
                    if not self.study.is_busy(self.config.trials):
                        break
                    time.sleep(_PAUSE)  # another process may be lost, and its trial wait again
                    continue
                self.trials.run(self.study, trial, parent_id, stop=stop)
                done += 1
                self._report(trial.number)
                after()
        return done

    def _report(self, number: int) -> None:
        """Say how a trial went, and what is left."""
        trials = self.study.trials()
        mine = next((trial for trial in trials if trial.number == number), None)
        if mine is None:
            return
        best = best_trial(trials, self.objectives[0])
        finished = [trial for trial in trials if trial.state in FINISHED]
        running = max(1, sum(trial.state == TrialState.RUNNING for trial in trials))
        seconds = [trial.duration.total_seconds() for trial in finished if trial.duration]
        left = max(0, self.config.trials - len(finished)) * float(np.mean(seconds or [0]))
        # That of a pruned trial is what its pruner looked at.
        scores = mine.values if mine.state == TrialState.COMPLETE else ()
        values = ", ".join(
            f"{one.title} {value:.4f}" for one, value in zip(self.objectives, scores, strict=False)
        )
        log.info(
            "trial %d %s%s; best %s; %d of %d done, %s; about %s left",
            number,
            mine.state.name.lower(),
            f": {values}" if values else "",
            "none yet" if best is None else f"{best.values[0]:.4f} (trial {best.number})",
            len(finished),
            self.config.trials,
            listed(counts_by_state(finished)),
            _duration(left / max(running, self.config.workers)),
        )

    def _log_progress(self, tracked: Run) -> None:
        """Log the best value so far as a curve over the finished trials."""
        trials = self.study.trials()
        best = best_trial(trials, self.objectives[0])
        if best is not None:
            finished = sum(trial.state in FINISHED for trial in trials)
            name = f"best_so_far/{self.objectives[0].name}"
            tracked.log_metrics({name: best.values[0]}, step=finished)

    def _have_workers_run(self, tracked: Run) -> None:
        """Have worker processes run the trials; they join the study as on other machines.

        Raises
        ------
        ProcessLost
            All of them ended before the trials were done.
        """
        with running_workers(self.config, self.model) as workers, defer_signals() as stop:
            seen, ended = -1, set[int]()
            while not stop():
                finished = sum(trial.state in FINISHED for trial in self.study.trials())
                if finished != seen:
                    self._log_progress(tracked)
                    seen = finished
                for worker in workers:
                    if worker.poll() is not None and worker.pid not in ended:
                        ended.add(worker.pid)
                        if worker.returncode:
                            log.warning(
                                "worker %d ended with exit code %d", worker.pid, worker.returncode
                            )
                self.study.fail_lost_trials()
                if not self.study.is_busy(self.config.trials) or time.monotonic() >= self.ends:
                    break
                if len(ended) == len(workers):
                    raise ProcessLost(
                        f"all {len(workers)} workers of study {self.study.name} ended before its "
                        "trials; see their messages, and run the same command to continue"
                    )
                time.sleep(_PAUSE)
            while self.study.is_running(self.config.trials) and not stop():  # after a timeout
                self.study.fail_lost_trials()
                time.sleep(_PAUSE)
            if not stop():
                self.study.say_finishing()

    def _end_lost(self, tracked: Run) -> None:
        """End the MLflow runs of trials that are finished, or whose processes were lost."""
        trials = self.study.study.get_trials(deepcopy=False)
        states = {one.number: one.state.name for one in trials if one.state in FINISHED}
        end_lost_children(tracked.id, states)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def train_winner(
    model: str,
    values: Values,
    config: SearchConfig,
    data: TrainingData,
    *,
    study: str,
    trial: int,
) -> Trained:
    """Train, postprocess, score and register a model with some values, as a child run."""
    settings = entry_config(model, values, config)
    trained = (
        baseline.run(settings) if isinstance(settings, BaselineConfig) else train.run(settings)
    )
    regions = len(set(data.active_regions[data.split.train].tolist()))
    tags = {
        STUDY_TAG: study,
        TRIAL_TAG: str(trial),
        SEARCHED_TAG: f"out of fold on its own {regions} training regions",
    }
    tag_version(trained.version, tags)
    return trained
