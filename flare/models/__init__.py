"""Networks only: (N, T, C, H, W) and the present mask in, log10 flux and event logits out."""

from dataclasses import dataclass
from typing import Any

from flare.errors import ConfigInvalid
from flare.goes import EVENTS
from flare.models.cnn import MultitaskCNN
from flare.models.cnn3d import CNN3D
from flare.models.network import Network
from flare.models.resnet import ResNet
from flare.models.stacked_cnn import StackedCNN
from flare.models.transformer import TimeTransformer

#: Every architecture by name. A new one is a file beside cnn.py and a line here.
ARCHITECTURES: dict[str, type[Network]] = {
    "cnn": MultitaskCNN,
    "stacked_cnn": StackedCNN,
    "resnet": ResNet,
    "cnn3d": CNN3D,
    "transformer": TimeTransformer,
}


@dataclass(frozen=True)
class NetworkConfig:
    """Which architecture and how wide; what ``build`` needs to make the same network again.

    ``width`` is the number of feature maps of the first block, ``hidden`` the size of the layer
    that both heads share, ``dropout`` the share of it that is dropped in training; of the flux
    there is one number or three quantiles.
    """

    architecture: str = "cnn"
    width: int = 16
    hidden: int = 64
    dropout: float = 0.2
    n_events: int = len(EVENTS)
    n_quantiles: int = 1


def build(config: NetworkConfig) -> Network:
    """Make the network of a config; its weights come from torch's current random state.

    Raises
    ------
    ConfigInvalid
        No architecture has that name.
    """
    if config.architecture not in ARCHITECTURES:
        raise ConfigInvalid(
            f"no architecture {config.architecture!r}; choose one of {', '.join(ARCHITECTURES)}"
        )
    options: dict[str, Any] = {
        "width": config.width,
        "hidden": config.hidden,
        "dropout": config.dropout,
        "n_events": config.n_events,
        "n_quantiles": config.n_quantiles,
    }
    return ARCHITECTURES[config.architecture](**options)
