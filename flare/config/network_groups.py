"""The parameters of networks and of their training, which several entry points share.

``flare.config`` puts them together with those of ``flare.config.groups``.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flare.config.groups import Count, EntryConfig

Head = Literal["distribution", "multitask"]
FluxLoss = Literal["l1", "huber", "pinball", "censored"]
EventLoss = Literal["bce", "weighted_bce", "focal", "score_oriented"]
Sampling = Literal["natural", "class_balanced", "region_balanced"]


#: What only two separate heads have.
_OF_MULTITASK = (
    "flux_loss", "label_floor", "event_loss", "event_weight", "event_balance", "focal_gamma"
)  # fmt: skip


class ArchitectureOptions(EntryConfig):
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
    features: bool = Field(
        True, description="give the network the forest's features of the images too, standardised"
    )
    average_folds: bool = Field(
        False,
        description="register the mean of the network and those of its folds, which takes as many "
        "times as long to forecast; false: it alone",
    )


class OptimizerOptions(EntryConfig):
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
        0.99, description="decay of the moving average of the weights that is kept; 0: no average"
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
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        "auto",
        description="of what is computed; auto: bf16-mixed where the processor multiplies bfloat16 "
        "(Intel AMX, NVIDIA since Ampere), else 32-true; weights are kept in 32 bits",
    )
    checkpoint_steps: Annotated[int, Field(ge=0)] = Field(
        0, description="steps after which the state is saved; 0: after every epoch only"
    )


class Resumable(EntryConfig):
    """Whether to go on with a run that was stopped."""

    resume: str = Field(
        "",
        description="true: go on with the newest unfinished training of these parameters, if there "
        "is one; or a run id; empty: a new run",
    )


class ObjectiveOptions(EntryConfig):
    """What is to be learnt from which samples: losses, sampling, augmentation."""

    head: Head = Field(
        "distribution",
        description="distribution: one of the peak flux, for events, flux and interval; multitask: "
        "a flux and each event on its own, by flux_loss and event_loss",
    )
    flux_loss: FluxLoss = Field(
        "l1",
        description="loss of log10 flux: l1; huber, a square below 1 dex; pinball, for the "
        "interval too; censored, where quiet only means below B1.0",
    )
    label_floor: Annotated[float, Field(ge=1e-9, lt=1e-5)] = Field(
        1e-9, description="labels below it, in W m^-2, are learnt as it; scores keep the labels"
    )
    event_loss: EventLoss = Field(
        "bce",
        description="loss of the events: bce, cross-entropy; weighted_bce, where rare events count "
        "more; focal; score_oriented, for the true skill statistic",
    )
    event_weight: Annotated[float, Field(ge=0, le=1000)] = Field(
        1.0, description="dex of flux error that a unit of the event loss is worth, a nat of bce"
    )
    event_balance: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5,
        description="of weighted_bce: events weigh ((1 - rate) / rate) to this power; 1: as much "
        "in all as what is no event",
    )
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = Field(
        2.0, description="of focal: power that makes little of what is forecast well; 0: bce"
    )
    sampling: Sampling = Field(
        "natural",
        description="training samples of an epoch: natural, each once; class_balanced, as many "
        "quiet, B, C, and M or X; region_balanced, as many of every active region",
    )
    mirror: bool = Field(True, description="flip training images as the Sun's symmetry allows")
    shift: Annotated[float, Field(ge=0, le=0.25)] = Field(
        0.0, description="farthest shift of training images, as a share of their edge"
    )
    drift: Annotated[float, Field(ge=0, le=3)] = Field(
        0.0,
        description="standard deviation of ln brightness, by which each AIA channel of a training "
        "sample is dimmed or brightened",
    )
    drop: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="probability that a training image, a channel or a step is taken away"
    )


class NetworkOptions(ArchitectureOptions, OptimizerOptions, ObjectiveOptions):
    """The network and its training."""

    @model_validator(mode="after")
    def _of_one_head(self) -> Self:
        """Refuse losses that the distribution has no use for."""
        if self.head == "distribution":
            for name in _OF_MULTITASK:
                value, usual = getattr(self, name), ObjectiveOptions.model_fields[name].default
                if value != usual:
                    raise ValueError(
                        f"{name}={value} has no effect with head=distribution; pass head=multitask "
                        f"or leave {name} out"
                    )
        return self
