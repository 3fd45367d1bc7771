"""The parameters of networks and of their training, which several entry points share.

``flare.config`` puts them together with those of ``flare.parameters``.
"""

from typing import Annotated, Literal

from pydantic import Field

from flare.parameters import Count, EntryConfig


class Shape(EntryConfig):
    """Which network."""

    architecture: Literal["cnn", "stacked_cnn", "resnet", "cnn3d", "transformer"] = Field(
        "cnn", description="network, by its name in flare.models; see docs/architectures.md"
    )
    width: Annotated[int, Field(ge=1, le=512)] = Field(
        16, description="feature maps of the first block; twice as many in stacked_cnn"
    )
    hidden: Annotated[int, Field(ge=1, le=4096)] = Field(
        64, description="units of the layer that both heads share"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.2, description="share of the shared layer dropped in training"
    )


class Fit(EntryConfig):
    """How its weights are fitted."""

    epochs: Annotated[int, Field(ge=1, le=10_000)] = Field(
        15, description="passes over the training regions"
    )
    batch_size: Annotated[int, Field(ge=2, le=4096)] = Field(16, description="samples in a batch")
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        2e-3, description="highest learning rate of AdamW, at the end of the warm-up"
    )
    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01, description="weight decay of AdamW"
    )
    patience: Count = Field(
        15,
        description="epochs without a lower validation loss before training stops; the last ones, "
        "at a low learning rate, are often the best",
    )
    accelerator: Literal["auto", "cpu", "gpu"] = Field("auto", description="where to train")


class Aims(EntryConfig):
    """What is to be learnt from which samples: losses, sampling, augmentation."""

    event_weight: Annotated[float, Field(ge=0, le=1000)] = Field(
        1.0, description="dex of flux error that one nat of cross-entropy is worth"
    )
    mirror: bool = Field(True, description="flip training images as the Sun's symmetry allows")


class Network(Shape, Fit, Aims):
    """The network and its training."""
