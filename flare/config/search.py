"""The parameters of a search."""

import warnings
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from flare.config.groups import (
    IMAGE_SIZES,
    BootstrapOptions,
    ModelNameOption,
    SeedOption,
    SplitConfig,
    one_of,
)
from flare.config.network_groups import AcceleratorOptions

#: Scores that a search can optimise: of all GOES classes, of M1.0, and of the flux.
SEARCH_OBJECTIVES = (
    "ranked_probability_score",
    "log_loss",
    "brier_skill_score",
    "true_skill_statistic",
    "log10_flux_mae",
)


def _objective(text: str) -> str:
    names = text.split(",")
    if unknown := [name for name in names if name not in SEARCH_OBJECTIVES]:
        choices = ", ".join(SEARCH_OBJECTIVES)
        raise ValueError(f"no objective {unknown[0]!r}; choose one or two of {choices}")
    if len(names) > 2 or len(set(names)) < len(names):
        raise ValueError("give one objective, or two different ones separated by a comma")
    return text


#: Every class that can be abstract has a method of this name, which no config needs.
warnings.filterwarnings("ignore", 'Field name "register" in "SearchConfig"', UserWarning)


class SearchConfig(
    AcceleratorOptions,
    BootstrapOptions,
    SeedOption,
    ModelNameOption,
    SplitConfig,
):
    """Search hyperparameters with Optuna, train with the best ones, and register the model.

    Every trial is a child run. The same command continues a study, or joins one that is running.
    """

    model: Literal["forest", "cnn", "stacked_cnn", "resnet", "cnn3d", "transformer", "all"] = Field(
        "cnn", description="model to search; all: one study for each, one after the other"
    )
    objective: Annotated[str, AfterValidator(_objective)] = Field(
        "ranked_probability_score",
        description="out-of-fold score of the training regions: "
        + ", ".join(SEARCH_OBJECTIVES)
        + "; two separated by a comma are optimised together, and the first chooses the winner",
    )
    trials: Annotated[int, Field(ge=1, le=10_000)] = Field(
        20, description="trials that the study has in the end, with those of before"
    )
    timeout: Annotated[float, Field(ge=0)] = Field(
        0.0, description="seconds after which no further trial is started; 0: no limit"
    )
    sampler: Literal["tpe", "random", "cmaes", "gp"] = Field(
        "tpe",
        description="how trials are chosen: tpe, tree of Parzen estimators; random; cmaes, "
        "covariance matrix adaptation; gp, Gaussian process",
    )
    pruner: Literal["percentile", "median", "hyperband", "none"] = Field(
        "percentile",
        description="which networks are stopped early, by their out-of-fold scores after each "
        "epoch: percentile, those outside the best third of the complete trials; median, outside "
        "the better half; forests have no epochs, and two objectives need none",
    )
    trial_epochs: Annotated[int, Field(ge=1, le=10_000)] = Field(
        6, description="epochs of the networks of a trial"
    )
    epochs: Annotated[int, Field(ge=1, le=10_000)] = Field(
        15, description="epochs of the network that is trained with the best parameters"
    )
    folds: Annotated[int, Field(ge=2, le=20)] = Field(
        3, description="cross-validation folds of every trial, grouped by active region"
    )
    smallest_image_size: Annotated[int, one_of(0, *IMAGE_SIZES)] = Field(
        0, description="smallest edge in pixels that trials may use; 0: image_size alone"
    )
    register: bool = Field(
        True,
        description="train on the full schedule with the best parameters, and register the model; "
        "false: search only",
    )
    workers: Annotated[int, Field(ge=1, le=512)] = Field(
        1, description="processes of this machine that run trials"
    )
    storage: str = Field(
        "",
        description="address of the database of studies, such as postgresql://user@host/name; "
        "empty: sqlite:///outputs/search.db",
    )
    study: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w.-]+$")] = Field(
        "flare", description="name of the study; the model is added to it"
    )
    heartbeat: Annotated[int, Field(ge=1, le=3600)] = Field(
        30,
        description="seconds between the signs of life of a trial; one without any for twice as "
        "long has failed, and is run once more",
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.smallest_image_size > self.image_size:
            raise ValueError(
                f"smallest_image_size={self.smallest_image_size} is above "
                f"image_size={self.image_size}"
            )
        if "," in self.objective and self.pruner != "none":
            raise ValueError("two objectives cannot be pruned; pass pruner=none")
        return self
