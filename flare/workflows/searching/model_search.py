"""The search of one model, as one process takes part in it: it leads the study, or joins it."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from optuna.trial import TrialState

from flare.config import BaselineConfig
from flare.config.search import SearchConfig
from flare.tracking.registry import tag_version
from flare.tracking.resume import end_lost_children, is_known
from flare.tracking.run import Run
from flare.tracking.runs import start
from flare.tracking.tags import SEARCHED_TAG, STUDY_TAG, TRIAL_TAG
from flare.training.processes import defer_signals
from flare.workflows import baseline, train
from flare.workflows.fitting.environment import log_environment
from flare.workflows.fitting.registration import Trained
from flare.workflows.fitting.training_data import log_part, training_rows
from flare.workflows.searching.space import (
    FOREST,
    default_values,
    entry_config,
    pruner_of,
    sampler_of,
    space_text,
)
from flare.workflows.searching.storage import open_storage, shown_storage
from flare.workflows.searching.study import FINISHED, OUTCOME, RUN, SharedStudy
from flare.workflows.searching.summary import (
    StudyResult,
    best_trial,
    counts_by_state,
    log_summary,
    state_text,
    summarise,
)
from flare.workflows.searching.trial import Trials
from flare.workflows.searching.workers import PAUSE, run_in_workers

log = logging.getLogger("flare")

#: Parameters that may change when a study is continued, or must not reach MLflow.
_NOT_LOGGED = {"trials", "timeout", "workers", "storage", "heartbeat"}


@dataclass(frozen=True)
class SearchResult:
    """What each study found, and the versions that were registered.

    ``joined`` has a line for each study that another process leads and reports.
    """

    studies: tuple[StudyResult, ...] = ()
    trained: tuple[Trained, ...] = ()
    comparison: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the lines for the terminal."""
        lines = list(self.joined)
        lines += [line for one in self.studies for line in one.lines()]
        lines += [line for one in self.trained for line in one.lines()]
        return [*lines, *self.comparison]


class ModelSearch:
    """The study of one model, as this process takes part in it."""

    def __init__(self, config: SearchConfig, model: str) -> None:
        self.config, self.model = config, model
        self.data = training_rows(config)
        self.trials = Trials(config, model, self.data)
        self.defaults = default_values(model, self.trials.space, config)
        self.objective, *others = self.trials.objectives
        self.study = SharedStudy(
            open_storage(config.storage, heartbeat=config.heartbeat),
            f"{config.study}-{model}",
            directions=[one.direction for one in self.trials.objectives],
            conditions=self._conditions(),
            sampler=sampler_of(config.sampler, several_objectives=bool(others)),
            pruner=pruner_of(config.pruner, epochs=config.trial_epochs),
            seed=config.seed,
            heartbeat=config.heartbeat,
        )
        self._ends = float("inf")

    def _conditions(self) -> dict[str, str]:
        """Return what all trials of the study have in common."""
        config = self.config
        shared: dict[str, object] = {
            "model": self.model,
            "objective": config.objective,
            "space": space_text(self.trials.space),
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
            joined, parent = True, self.study.get(RUN)
            if parent is not None:  # None before the leader has started it
                n_run += self.work(parent)
            if self.study.is_finishing() or time.monotonic() >= self._ends:
                return self._joined(n_run)
            time.sleep(PAUSE)
        with self.study.leading():
            finished = self.study.get(OUTCOME) and not self.study.is_busy(self.config.trials)
            return self._joined(n_run) if joined and finished else self._lead()

    def _joined(self, n_run: int) -> SearchResult:
        line = f"study {self.study.name}: {n_run} trials were run here; another process reports it"
        return SearchResult(joined=(line,))

    def _start_clock(self) -> None:
        if self.config.timeout:
            self._ends = time.monotonic() + self.config.timeout

    def _lead(self) -> SearchResult:
        """Open the study's MLflow run, have its trials run, and train with the best parameters."""
        config, study = self.config, self.study
        former = study.get(RUN)
        if former is not None and not is_known(former):
            log.warning("the MLflow run %s of study %s is gone: a new one", former, study.name)
            former = None
        name = f"search {study.name}"
        with start("search", name=name, watch=True, resume=former, reopen=True) as tracked:
            study.set(RUN, tracked.id)
            self._log_start(tracked, new=former is None)
            study.queue(config.trials, self.defaults)
            self._start_clock()
            self._run_trials(tracked)
            trials = study.study.get_trials(deepcopy=False, states=FINISHED)
            end_lost_children(tracked.id, {one.number: one.state.name for one in trials})
            study.finish()
            result = summarise(study, self.model, self.objective, self.data, config)
            log_summary(tracked, study, result, self.data)
            if not config.register:
                study.set(OUTCOME, {"trial": result.best.number, "version": None})
                return SearchResult((result,))
            log.info("%s", "\n".join(result.lines()))
            trained = self._train_winner(result)
            return SearchResult((result,), () if trained is None else (trained,))

    def _run_trials(self, tracked: Run) -> None:
        config, study = self.config, self.study

        def log_progress() -> None:
            """Log the best value so far as a curve over the finished trials."""
            trials = study.trials()
            best = best_trial(trials, self.objective)
            if best is not None:
                n_finished = sum(trial.state in FINISHED for trial in trials)
                name = f"best_so_far/{self.objective.name}"
                tracked.log_metrics({name: best.values[0]}, step=n_finished)

        if not study.is_busy(config.trials):
            log.info("study %s has its %d trials already", study.name, config.trials)
        elif config.workers == 1:
            self.work(tracked.id, after=log_progress)
        else:
            run_in_workers(config, self.model, study, on_trial=log_progress, end=self._ends)

    def _log_start(self, tracked: Run, *, new: bool) -> None:
        config = self.config
        log_environment(tracked)
        if new:
            tracked.log_config(config, without=_NOT_LOGGED)
        shown = shown_storage(config.storage)
        tracked.set_tags(
            {STUDY_TAG: self.study.name, "flare.trials": config.trials, "flare.storage": shown}
        )
        for part in ("training", "validation"):
            log_part(tracked, self.data, config.data_dir, part)
        counts = counts_by_state(self.study.trials())
        log.info(
            "study %s in %s: %d trials%s",
            self.study.name,
            shown,
            config.trials,
            f", continued from {state_text(counts)}" if counts else "",
        )

    def work(self, parent_id: str, *, after: Callable[[], None] = lambda: None) -> int:
        """Run trials until none waits or runs, or the time is up; return how many."""
        done = 0
        # Ctrl-C in the middle of a write would leave MLflow's database locked for the others.
        with defer_signals() as stop:
            while time.monotonic() < self._ends and not stop():
                trial = self.study.claim(self.config.trials)
                if trial is None:
                    if not self.study.is_busy(self.config.trials):
                        break
                    time.sleep(PAUSE)  # another process may be lost, and its trial wait again
                    continue
                self.trials.run(self.study, trial, parent_id, stop=stop)
                done += 1
                self._report(trial.number)
                after()
        return done

    def _report(self, number: int) -> None:
        """Report how a trial went, and what is left."""
        trials = self.study.trials()
        mine = next((trial for trial in trials if trial.number == number), None)
        if mine is None:
            return
        best = best_trial(trials, self.objective)
        finished = [trial for trial in trials if trial.state in FINISHED]
        running = max(1, sum(trial.state == TrialState.RUNNING for trial in trials))
        seconds = [trial.duration.total_seconds() for trial in finished if trial.duration]
        left = max(0, self.config.trials - len(finished)) * float(np.mean(seconds or [0]))
        # That of a pruned trial is what its pruner looked at.
        scores = mine.values if mine.state == TrialState.COMPLETE else ()
        values = ", ".join(
            f"{one.title} {value:.4f}"
            for one, value in zip(self.trials.objectives, scores, strict=False)
        )
        log.info(
            "trial %d %s%s; best %s; %d of %d done, %s; about %s left",
            number,
            mine.state.name.lower(),
            f": {values}" if values else "",
            "none yet" if best is None else f"{best.values[0]:.4f} (trial {best.number})",
            len(finished),
            self.config.trials,
            state_text(counts_by_state(finished)),
            _duration(left / max(running, self.config.workers)),
        )

    def _train_winner(self, result: StudyResult) -> Trained | None:
        """Train with the best parameters as a child run; None if a version has them already."""
        best, before = result.best, self.study.get(OUTCOME) or {}
        if before.get("version") and before.get("trial") == best.number:
            log.info("version %s was trained with these parameters already", before["version"])
            return None
        settings = entry_config(self.model, dict(best.params), self.config)
        trained = (
            baseline.run(settings) if isinstance(settings, BaselineConfig) else train.run(settings)
        )
        n_regions = len(set(self.data.active_regions[self.data.split.train].tolist()))
        tags = {
            STUDY_TAG: self.study.name,
            TRIAL_TAG: str(best.number),
            SEARCHED_TAG: f"out of fold on its own {n_regions} training regions",
        }
        tag_version(trained.version, tags)
        self.study.set(OUTCOME, {"trial": best.number, "version": trained.version.version})
        return trained


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
