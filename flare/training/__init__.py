"""Train networks: batches, losses and the loop; and what a search varies of it."""

from flare.search_space import Choices, Integers, Reals, Space

_TWO_HEADS = ("head", ("multitask",))

#: Ranges of a search for networks of every architecture, by the names of the parameters of
#: ``train``.
NETWORK_SPACE: Space = {
    "width": Integers(low=8, high=32, log=True),
    "hidden": Integers(low=16, high=128, log=True),
    "dropout": Reals(low=0.0, high=0.5),
    "learning_rate": Reals(low=3e-4, high=1e-2, log=True),
    "weight_decay": Reals(low=1e-4, high=0.3, log=True),
    "warmup": Reals(low=0.01, high=0.3),
    "batch_size": Integers(low=8, high=64, log=True),
    "gradient_clip_norm": Reals(low=0.1, high=10.0, log=True),
    "ema": Reals(low=0.9, high=0.999),
    "sampling": Choices(options=("natural", "class_balanced", "region_balanced")),
    "mirror": Choices(options=(True, False)),
    "shift": Reals(low=0.0, high=0.1),
    "brightness_jitter": Reals(low=0.0, high=0.5),
    "image_dropout": Reals(low=0.0, high=0.2),
    "head": Choices(options=("distribution", "multitask")),
    "flux_loss": Choices(options=("l1", "huber", "pinball", "censored"), when=_TWO_HEADS),
    "event_loss": Choices(options=("bce", "weighted_bce", "focal"), when=_TWO_HEADS),
    "event_weight": Reals(low=0.1, high=10.0, log=True, when=_TWO_HEADS),
    "event_balance": Reals(low=0.0, high=1.0, when=("event_loss", ("weighted_bce",))),
    "focal_gamma": Reals(low=0.5, high=4.0, when=("event_loss", ("focal",))),
}
