"""What a search varies of each model, and how Optuna chooses values and stops trials early."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from flare.config import BaselineConfig, TrainConfig
from flare.config.search import SearchConfig
from flare.errors import ConfigInvalid
from flare.forecasters.forest import FOREST_SPACE
from flare.models import ARCHITECTURES
from flare.search_space import Choices, Integers, Range, Space, is_active
from flare.training import NETWORK_SPACE

FOREST = "forest"

#: In the order in which ``model=all`` searches them.
MODELS = (FOREST, *ARCHITECTURES)

#: Image sizes are powers of two, and their exponents are searched.
IMAGE_SIZE_EXPONENT = "image_size_log2"

Value = int | float | str | bool
#: Parameters by name, as trials suggest them.
Values = Mapping[str, Value]


def space_of(model: str, config: SearchConfig) -> Space:
    """Return the space of a model: its own, and image sizes if there are several."""
    space = dict(FOREST_SPACE if model == FOREST else NETWORK_SPACE)
    if 0 < config.smallest_image_size < config.image_size:
        low, high = (_exponent(n) for n in (config.smallest_image_size, config.image_size))
        space[IMAGE_SIZE_EXPONENT] = Integers(low=low, high=high)
    return space


def space_text(space: Space) -> str:
    """Return a space as JSON, which tells one space from another."""
    kinds = {name: {"kind": type(one).__name__, **asdict(one)} for name, one in space.items()}
    return json.dumps(kinds, sort_keys=True)


def default_values(model: str, space: Space, config: SearchConfig) -> Values:
    """Return the default parameters of a model as a point of its space."""
    fields = _config_class(model).model_fields
    values: dict[str, Value] = {}
    for name, one in space.items():
        if name == IMAGE_SIZE_EXPONENT:
            values[name] = _exponent(config.image_size)
        elif is_active(one, values):
            values[name] = fields[name].default
    return values


def suggest(trial: optuna.Trial, space: Space) -> Values:
    """Return the values that a trial suggests; those without an effect are not asked for."""
    values: dict[str, Value] = {}
    for name, one in space.items():
        if is_active(one, values):
            values[name] = _suggest(trial, name, one)
    return values


def _suggest(trial: optuna.Trial, name: str, one: Range) -> Value:
    if isinstance(one, Choices):
        chosen = trial.suggest_categorical(name, one.options)
        assert isinstance(chosen, str | bool)
        return chosen
    if isinstance(one, Integers):
        return trial.suggest_int(name, one.low, one.high, log=one.log)
    return trial.suggest_float(name, one.low, one.high, log=one.log)


def parameters_of(values: Values, config: SearchConfig) -> Values:
    """Return parameters of the entry points for suggested values, with the image size."""
    parameters = dict(values)
    exponent = parameters.pop(IMAGE_SIZE_EXPONENT, None)
    size = config.image_size if exponent is None else 2 ** int(exponent)
    return {**parameters, "image_size": size}


def pack_dir_of(config: SearchConfig, image_size: int) -> Path | None:
    """Return the folder of the pack of an image size; None for the default one."""
    if config.pack_dir is None or image_size == config.image_size:
        return config.pack_dir
    return config.pack_dir.with_name(f"{config.pack_dir.name}-{image_size}")


def entry_config(model: str, values: Values, config: SearchConfig) -> BaselineConfig | TrainConfig:
    """Return the config that trains a model with suggested values on the full schedule."""
    kind = _config_class(model)
    shared = kind.model_fields.keys() & SearchConfig.model_fields.keys()
    given = {name: getattr(config, name) for name in shared} | dict(parameters_of(values, config))
    given["pack_dir"] = pack_dir_of(config, int(given["image_size"]))
    if kind is TrainConfig:
        given |= {"architecture": model, "patience": config.epochs}
    return kind(**given)


def _config_class(model: str) -> type[BaselineConfig] | type[TrainConfig]:
    return BaselineConfig if model == FOREST else TrainConfig


def _exponent(image_size: int) -> int:
    return image_size.bit_length() - 1


def sampler_of(
    name: str, *, several_objectives: bool
) -> Callable[[int], optuna.samplers.BaseSampler]:
    """Return a function from a seed to the sampler that the parameter ``sampler`` names."""
    if name == "cmaes" and several_objectives:
        raise ConfigInvalid("sampler=cmaes has one objective; choose tpe, random or gp for two")
    startup = 10  # random trials first
    makers: dict[str, Callable[..., optuna.samplers.BaseSampler]] = {
        "random": optuna.samplers.RandomSampler,
        "cmaes": partial(optuna.samplers.CmaEsSampler, n_startup_trials=startup),
        "gp": partial(optuna.samplers.GPSampler, n_startup_trials=startup),
        "tpe": partial(
            optuna.samplers.TPESampler,
            n_startup_trials=startup,
            multivariate=True,
            group=True,
            constant_liar=True,
        ),
    }
    return lambda seed: makers[name](seed=seed)


#: Trials that are complete before any is pruned.
_UNPRUNED = 5

#: Percentage of the complete trials that a trial must be among after each epoch:
#: docs/hyperparameter-search.md.
_PERCENTILES = {"percentile": 33.3, "median": 50.0}


def pruner_of(name: str, *, epochs: int) -> optuna.pruners.BasePruner:
    """Return the pruner that the parameter ``pruner`` names, for trials of so many epochs.

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
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return len(complete) >= _UNPRUNED and super().prune(study, trial)
