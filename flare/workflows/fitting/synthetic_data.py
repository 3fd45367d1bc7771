"""The synthetic dataset as the workflows want it: made on demand, and refused if made otherwise."""

import json
import logging
from pathlib import Path

from flare.config import SynthesizeConfig
from flare.config.groups import SYNTHETIC_DIR
from flare.datasets.sdobenchmark.labels import dataset_identity
from flare.datasets.synthetic import SyntheticSummary, synthesize
from flare.errors import ConfigInvalid
from flare.progress import counter

log = logging.getLogger("flare")


def sizes(config: SynthesizeConfig) -> dict[str, int]:
    """Return how many samples each split gets."""
    n_test = max(round(config.samples * config.test_share), 1)
    return {"n_training": config.samples - n_test, "n_test": n_test}


def make(config: SynthesizeConfig) -> SyntheticSummary:
    """Make the dataset that a config describes."""
    with counter("synthesize", unit="regions") as progress:
        return synthesize(
            config.data_dir,
            **sizes(config),
            seed=config.data_seed,
            difficulty=config.difficulty,
            test=config.test,
            processes=config.processes or None,
            progress=progress,
        )


def make_default(data_dir: Path, config: SynthesizeConfig | None = None) -> None:
    """Make the synthetic dataset if that is what is asked for and it is not there yet."""
    if data_dir != SYNTHETIC_DIR:
        return
    if data_dir.exists():
        if config is not None:
            _check_made_as(data_dir, config)
        return
    config = config or SynthesizeConfig()
    log.info("no %s yet: making synthetic regions (seed %d)", data_dir, config.data_seed)
    make(config)


def _check_made_as(data_dir: Path, config: SynthesizeConfig) -> None:
    """Raise ConfigInvalid if a synthetic dataset was made with other settings than asked for."""
    dataset_identity(data_dir)  # says what is wrong with a damaged dataset.json
    path = data_dir / "dataset.json"
    made = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if made:
        made.setdefault("test", "selected")  # the only way before there was a choice
    asked = {
        **sizes(config),
        "seed": config.data_seed,
        "difficulty": config.difficulty,
        "test": config.test,
    }
    parameters = {"n_training": "samples", "n_test": "samples", "seed": "data_seed"}
    for key, value in asked.items():
        if key in made and made[key] != value:
            raise ConfigInvalid(
                f"{parameters.get(key, key)} asks for {key}={value}, but {data_dir} was made with "
                f"{made[key]}; remove that folder to make it anew, or leave the parameter out"
            )
