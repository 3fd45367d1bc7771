"""Parameters of networks and of their training.

``NetworkOptions`` holds all of them: entry points add it to their configs, and the training loop,
the losses and the networks read it.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flare.config.groups import Count, EntryConfig, SeedOption

#: Parameters that only the two separate heads use.
_MULTITASK_ONLY = (
    "flux_loss", "label_floor", "event_loss", "event_weight", "event_balance", "focal_gamma"
)  # fmt: skip


class ArchitectureOptions(EntryConfig):
    """The network."""

    architecture: Literal["cnn", "stacked_cnn", "resnet", "cnn3d", "transformer"] = Field(
        "cnn", description="network architecture; docs/architectures.md compares them"
    )
    width: Annotated[int, Field(ge=1, le=512)] = Field(
        16, description="feature maps of the first block; twice as many in stacked_cnn"
    )
    hidden: Annotated[int, Field(ge=1, le=4096)] = Field(
        64, description="units of the layer that all heads share"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.2, description="share of the shared layer that is dropped in training"
    )
    features: bool = Field(
        True, description="give the network the forest's image features too, standardised"
    )
    average_folds: bool = Field(
        False,
        description="register the mean of the network and the networks of its folds, which takes "
        "(folds + 1) times as long to forecast; false: the network alone",
    )


class AcceleratorOptions(EntryConfig):
    """The kind of device that networks are trained on."""

    accelerator: Literal["auto", "cpu", "gpu"] = Field("auto", description="device to train on")
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        "auto",
        description="floating-point precision; auto: bf16-mixed where the processor has bfloat16 "
        "matrix units (Intel AMX, NVIDIA since Ampere), else 32-true; weights stay in 32 bits",
    )


class OptimizerOptions(AcceleratorOptions):
    """The optimizer, and the devices that the training runs on."""

    epochs: Annotated[int, Field(ge=1, le=10_000)] = Field(
        15, description="passes over the training samples"
    )
    batch_size: Annotated[int, Field(ge=2, le=4096)] = Field(
        16, description="samples in a batch, for each process"
    )
    accumulate: Annotated[int, Field(ge=1, le=4096)] = Field(
        1, description="batches whose gradients are accumulated for one step"
    )
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        2e-3, description="max learning rate of AdamW, reached at the end of the warm-up"
    )
    warmup: Annotated[float, Field(ge=0, le=1)] = Field(
        0.05, description="share of all steps over which the learning rate rises"
    )
    weight_decay: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01, description="weight decay of AdamW"
    )
    gradient_clip_norm: Annotated[float, Field(ge=0)] = Field(
        1.0, description="norm that gradients are clipped to; 0: no clipping"
    )
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.99,
        description="decay of the exponential moving average of the weights, which is validated "
        "and registered; 0: no average",
    )
    patience: Count = Field(
        15, description="epochs without a lower validation cross-entropy before training stops"
    )
    devices: Annotated[int, Field(ge=1, le=1024)] = Field(
        1,
        description="GPUs per machine, or processes on its CPU; torchrun's own number replaces it",
    )
    num_nodes: Annotated[int, Field(ge=1, le=4096)] = Field(
        1, description="machines, under SLURM; torchrun's own number replaces it"
    )
    strategy: Literal["auto", "ddp"] = Field(
        "auto", description="how several processes train together; auto: ddp"
    )
    checkpoint_steps: Annotated[int, Field(ge=0)] = Field(
        0, description="steps between checkpoints; 0: after every epoch only"
    )


class ResumeOption(EntryConfig):
    """Whether to resume an interrupted run."""

    resume: str = Field(
        "",
        description="true: resume the newest unfinished training with the same parameters, if "
        "there is one; or the id of a run to resume; empty: start a new run",
    )


class ObjectiveOptions(EntryConfig):
    """The training objective: losses, sampling and augmentation."""

    head: Literal["distribution", "multitask"] = Field(
        "distribution",
        description="distribution: one distribution of the peak flux, which gives events, flux "
        "and interval; multitask: separate heads for the flux and for each event",
    )
    flux_loss: Literal["l1", "huber", "pinball", "censored"] = Field(
        "l1",
        description="loss of log10 flux: l1; huber, quadratic below 1 dex; pinball, which also "
        "gives the interval; censored, where labels below B1.0 only say so",
    )
    label_floor: Annotated[float, Field(ge=1e-9, lt=1e-5)] = Field(
        1e-9, description="W m^-2 that lower training labels are raised to; scores keep the labels"
    )
    event_loss: Literal["bce", "weighted_bce", "focal", "score_oriented"] = Field(
        "bce",
        description="loss of the events: bce, cross-entropy; weighted_bce, which weights rare "
        "events more; focal; score_oriented, for the true skill statistic",
    )
    event_weight: Annotated[float, Field(ge=0, le=1000)] = Field(
        1.0, description="weight of the event loss: dex of flux error per unit of it"
    )
    event_balance: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5,
        description="exponent of weighted_bce: events weigh ((1 - rate) / rate) to this power; "
        "1: events and non-events have the same total weight",
    )
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = Field(
        2.0, description="exponent of focal: larger values count good forecasts less; 0: bce"
    )
    sampling: Literal["natural", "class_balanced", "region_balanced"] = Field(
        "natural",
        description="training samples of an epoch: natural, each once; class_balanced, equally "
        "many quiet, B, C, and M or X; region_balanced, equally many of every active region",
    )
    mirror: bool = Field(True, description="mirror training images as the Sun's symmetry allows")
    shift: Annotated[float, Field(ge=0, le=0.25)] = Field(
        0.0, description="largest shift of training images, as a share of their edge"
    )
    brightness_jitter: Annotated[float, Field(ge=0, le=3)] = Field(
        0.0,
        description="standard deviation of ln brightness by which each AIA channel of a training "
        "sample is dimmed or brightened",
    )
    image_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="probability that a training image is removed, and a whole channel, and a "
        "whole time step",
    )

    @property
    def n_quantiles(self) -> int:
        """Quantiles of the flux that the network forecasts: 3 for ``pinball``.

        0 with a distribution, which the flux follows from.
        """
        if self.head == "distribution":
            return 0
        return 3 if self.flux_loss == "pinball" else 1


class NetworkOptions(SeedOption, ArchitectureOptions, OptimizerOptions, ObjectiveOptions):
    """The network and its training."""

    @model_validator(mode="after")
    def _check_losses_fit_head(self) -> Self:
        if self.head == "distribution":
            for name in _MULTITASK_ONLY:
                value, default = getattr(self, name), ObjectiveOptions.model_fields[name].default
                if value != default:
                    raise ValueError(
                        f"{name}={value} has no effect with head=distribution; pass head=multitask "
                        f"or leave {name} out"
                    )
        return self
