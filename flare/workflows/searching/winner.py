"""Train with the best parameters of a study on the full schedule, and register the model."""

from flare.config import BaselineConfig, SearchConfig
from flare.tracking.registry import tag_version
from flare.tracking.tags import SEARCHED_TAG, STUDY_TAG, TRIAL_TAG
from flare.workflows import baseline, train
from flare.workflows.fitting.registration import Trained
from flare.workflows.fitting.training_data import TrainingData
from flare.workflows.searching.space import Values, entry_config


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
