"""What a search varies of each model, suggested by Optuna."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from optuna import Trial

from flare.config import BaselineConfig, TrainConfig
from flare.config.search import SearchConfig
from flare.forecasters.forest import FOREST_SPACE
from flare.models import ARCHITECTURES
from flare.search_space import Choices, Integers, Range, Space, is_active
from flare.training import NETWORK_SPACE

FOREST = "forest"

#: In the order in which ``model=all`` searches them.
MODELS = (FOREST, *ARCHITECTURES)

#: Image sizes are powers of two, and their exponents are searched.
IMAGE_SIZE_EXPONENT = "image_size_log2"

#: Parameters by name, as trials suggest them.
Values = Mapping[str, int | float | str | bool]


def space_of(model: str, config: SearchConfig) -> Space:
    """Return the space of a model: its own, and image sizes if there are several."""
    space = dict(FOREST_SPACE if model == FOREST else NETWORK_SPACE)
    if 0 < config.smallest_image_size < config.image_size:
        space[IMAGE_SIZE_EXPONENT] = Integers(
            low=_exponent(config.smallest_image_size), high=_exponent(config.image_size)
        )
    return space


def space_text(space: Space) -> str:
    """Return a space as JSON, which tells one space from another."""
    kinds = {name: {"kind": type(one).__name__, **asdict(one)} for name, one in space.items()}
    return json.dumps(kinds, sort_keys=True)


def default_values(model: str, space: Space, config: SearchConfig) -> Values:
    """Return the default parameters of a model as a point of its space."""
    fields = _config_class(model).model_fields
    values: dict[str, int | float | str | bool] = {}
    for name, one in space.items():
        if name == IMAGE_SIZE_EXPONENT:
            values[name] = _exponent(config.image_size)
        elif is_active(one, values):
            values[name] = fields[name].default
    return values


def suggest(trial: Trial, space: Space) -> Values:
    """Return the values that a trial suggests; those without an effect are not asked for."""
    values: dict[str, int | float | str | bool] = {}
    for name, one in space.items():
        if is_active(one, values):
            values[name] = _suggest(trial, name, one)
    return values


def parameters_of(values: Values, config: SearchConfig) -> Values:
    """Return parameters of the entry points for suggested values; the image size is among them."""
    others = {name: value for name, value in values.items() if name != IMAGE_SIZE_EXPONENT}
    exponent = values.get(IMAGE_SIZE_EXPONENT)
    return {
        **others,
        "image_size": config.image_size if exponent is None else 2 ** int(exponent),
    }


def pack_dir_of(config: SearchConfig, image_size: int) -> Path | None:
    """Return the folder of the pack of an image size; None for the default one."""
    if config.pack_dir is None or image_size == config.image_size:
        return config.pack_dir
    return config.pack_dir.with_name(f"{config.pack_dir.name}-{image_size}")


def entry_config(model: str, values: Values, config: SearchConfig) -> BaselineConfig | TrainConfig:
    """Return the config that trains a model with suggested values on the full schedule."""
    kind = _config_class(model)
    shared = {
        name: getattr(config, name)
        for name in kind.model_fields.keys() & SearchConfig.model_fields.keys()
    }
    given = shared | dict(parameters_of(values, config))
    given["pack_dir"] = pack_dir_of(config, int(given["image_size"]))
    if kind is TrainConfig:
        given |= {"architecture": model, "patience": config.epochs}
    return kind(**given)


def _config_class(model: str) -> type[BaselineConfig] | type[TrainConfig]:
    return BaselineConfig if model == FOREST else TrainConfig


def _suggest(trial: Trial, name: str, one: Range) -> int | float | str | bool:
    if isinstance(one, Choices):
        chosen = trial.suggest_categorical(name, one.options)
        assert isinstance(chosen, str | bool)
        return chosen
    if isinstance(one, Integers):
        return trial.suggest_int(name, one.low, one.high, log=one.log)
    return trial.suggest_float(name, one.low, one.high, log=one.log)


def _exponent(image_size: int) -> int:
    return image_size.bit_length() - 1
