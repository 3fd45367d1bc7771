"""Entry point ``main``: the whole job, on synthetic regions or on a dataset."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from flare.config import (
    BaselineConfig,
    EvaluateConfig,
    MainConfig,
    PackConfig,
    PredictConfig,
    PromoteConfig,
    SynthesizeConfig,
    TrainConfig,
)
from flare.config.groups import SYNTHETIC_DIR, EntryConfig
from flare.errors import ModelNotFound, PromotionRefused
from flare.tracking.registry import production_version
from flare.tracking.runs import start
from flare.tracking.tags import PRODUCTION
from flare.workflows import baseline, evaluate, predict, promote, train
from flare.workflows.data import pack
from flare.workflows.evaluation.report import Evaluation
from flare.workflows.fitting.registration import Trained
from flare.workflows.fitting.training_data import ensure_synthetic, log_pack
from flare.workflows.prediction.prediction_table import Forecasts
from flare.workflows.promote import Promoted

log = logging.getLogger("flare")

#: Parameters without effect on a dataset that is not the default synthetic one.
_SYNTHETIC_ONLY = {"samples", "test_share", "difficulty", "data_seed"}

Config = TypeVar("Config", bound=EntryConfig)


@dataclass(frozen=True)
class WholeJob:
    """The result of each stage, and the seconds that it took."""

    forest: Trained
    network: Trained
    evaluation: Evaluation
    promoted: Promoted | None
    forecasts: Forecasts
    seconds: dict[str, float]


def run(config: MainConfig) -> WholeJob:
    """Run every stage as a child run of one parent."""
    seconds: dict[str, float] = {}
    with start("main", name=f"whole job on {config.data_dir.name}") as tracked:
        synthetic = config.data_dir == SYNTHETIC_DIR
        tracked.log_config(config, without=set() if synthetic else _SYNTHETIC_ONLY)
        with _stage("data", seconds):
            ensure_synthetic(config.data_dir, _part(SynthesizeConfig, config))
            packed = pack.run(_part(PackConfig, config))
            log_pack(tracked, packed, config.data_dir, context="job", profile=packed.samples)
        with _stage("baseline", seconds):
            forest = baseline.run(_part(BaselineConfig, config))
        with _stage("train", seconds):
            network = train.run(_part(TrainConfig, config))
        with _stage("evaluate", seconds):
            of_network = {"model": str(network.version.version)}
            evaluation = evaluate.run(_part(EvaluateConfig, config).model_copy(update=of_network))
        with _stage("promote and predict", seconds):
            promoted = _promote(_part(PromoteConfig, config))
            # Of the example instead of data_dir: it shows a single forecast.
            forecasts = predict.run(
                PredictConfig(model=_production_or(network), model_name=config.model_name)
            )
        tracked.log_metrics(
            {f"seconds/{stage.replace(' ', '_')}": value for stage, value in seconds.items()}
        )
    return WholeJob(forest, network, evaluation, promoted, forecasts, seconds)


def run_worker(config: MainConfig) -> None:
    """Train in step with rank zero: the part of every other process; see ``train.run_worker``."""
    train.run_worker(_part(TrainConfig, config))


def _promote(config: PromoteConfig) -> Promoted | None:
    """Promote the best version; None if that is refused and Production stays."""
    try:
        return promote.run(config)
    except PromotionRefused as refusal:
        log.warning("not promoted: %s", refusal)
        return None


def _production_or(trained: Trained) -> str:
    """Return the alias Production, or a version number if nothing was ever promoted."""
    try:
        production_version(trained.version.name)
    except ModelNotFound:
        return str(trained.version.version)
    return PRODUCTION


def _part(config_class: type[Config], config: MainConfig) -> Config:
    """Return the config of one stage; parameters that ``main`` lacks keep their defaults."""
    shared = config_class.model_fields.keys() & MainConfig.model_fields.keys()
    return config_class(**{name: getattr(config, name) for name in shared})


@contextmanager
def _stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    log.info("== %s", name)
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
