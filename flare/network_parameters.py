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
    batch_size: Annotated[int, Field(ge=2, le=4096)] = Field(
        16, description="samples in a batch, of each process"
    )
    accumulate: Annotated[int, Field(ge=1, le=4096)] = Field(
        1, description="batches whose gradients make one step"
    )
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        2e-3, description="highest learning rate of AdamW, at the end of the warm-up"
    )
    warmup: Annotated[float, Field(ge=0, le=1)] = Field(
        0.05, description="share of all steps over which the learning rate rises"
    )
    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01, description="weight decay of AdamW"
    )
    clip: Annotated[float, Field(ge=0)] = Field(
        1.0, description="length that gradients are cut to; 0: as they are"
    )
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="decay of the moving average of the weights that is kept; 0: no average"
    )
    patience: Count = Field(
        15,
        description="epochs without a lower validation loss before training stops; the last ones, "
        "at a low learning rate, are often the best",
    )
    accelerator: Literal["auto", "cpu", "gpu"] = Field("auto", description="where to train")
    devices: Annotated[int, Field(ge=1, le=1024)] = Field(
        1, description="GPUs of each machine, or processes on its CPU; under torchrun it knows"
    )
    num_nodes: Annotated[int, Field(ge=1, le=4096)] = Field(
        1, description="machines, under SLURM; torchrun knows"
    )
    strategy: Literal["auto", "ddp"] = Field(
        "auto", description="how several processes train together; auto: ddp if there are several"
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="of what is computed; weights are kept in 32 bits"
    )
    checkpoint_steps: Annotated[int, Field(ge=0)] = Field(
        0, description="steps after which the state is saved; 0: after every epoch only"
    )


class Resumable(EntryConfig):
    """Whether to go on with a run that was stopped."""

    resume: str = Field(
        "",
        description="true: go on with the newest unfinished run of the same parameters, if there "
        "is one; or a run id; empty: a new run",
    )


class Aims(EntryConfig):
    """What is to be learnt from which samples: losses, sampling, augmentation."""

    event_weight: Annotated[float, Field(ge=0, le=1000)] = Field(
        1.0, description="dex of flux error that one nat of cross-entropy is worth"
    )
    mirror: bool = Field(True, description="flip training images as the Sun's symmetry allows")


class Network(Shape, Fit, Aims):
    """The network and its training."""
