"""Optuna's samplers and pruners, by the names of the parameters."""

import warnings
from collections.abc import Callable

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState

from flare.errors import ConfigInvalid

#: Trials that are complete before any is pruned.
_UNPRUNED = 5

#: Percentage of the complete trials that a trial must be among after each epoch:
#: docs/hyperparameter-search.md.
_PERCENTILES = {"percentile": 33.3, "median": 50.0}


def sampler_of(
    name: str, *, several_objectives: bool
) -> Callable[[int], optuna.samplers.BaseSampler]:
    """Return a function from a seed to the sampler of that name."""
    startup = 10

    def make(seed: int) -> optuna.samplers.BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            if name == "random":
                return optuna.samplers.RandomSampler(seed=seed)
            if name == "cmaes":
                return optuna.samplers.CmaEsSampler(seed=seed, n_startup_trials=startup)
            if name == "gp":
                return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup)
            return optuna.samplers.TPESampler(
                seed=seed,
                n_startup_trials=startup,
                multivariate=True,
                group=True,
                constant_liar=True,
            )

    if name == "cmaes" and several_objectives:
        raise ConfigInvalid("sampler=cmaes has one objective; choose tpe, random or gp for two")
    return make


def pruner_of(name: str, *, epochs: int) -> optuna.pruners.BasePruner:
    """Return the pruner of that name, for trials of so many epochs.

    Nothing is pruned before five trials are complete.
    """
    if name in _PERCENTILES:
        return optuna.pruners.PercentilePruner(
            _PERCENTILES[name], n_startup_trials=_UNPRUNED, n_min_trials=3
        )
    if name == "hyperband":
        return _Hyperband(min_resource=1, max_resource=epochs, reduction_factor=3)
    return optuna.pruners.NopPruner()


class _Hyperband(optuna.pruners.HyperbandPruner):
    """Hyperband, which otherwise prunes from the second trial on."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether to stop a trial; never before enough trials are complete."""
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return len(complete) >= _UNPRUNED and super().prune(study, trial)
