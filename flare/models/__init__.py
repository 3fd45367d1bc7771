"""Networks only: (N, T, C, H, W) and the present mask in, log10 flux and event logits out."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from flare.errors import ConfigInvalid
from flare.goes import EVENTS
from flare.models.cnn import MultitaskCNN
from flare.models.cnn3d import CNN3D
from flare.models.heads import HeadOptions
from flare.models.mean import NetworkMean
from flare.models.network import Network
from flare.models.resnet import ResNet
from flare.models.stacked_cnn import StackedCNN
from flare.models.transformer import TimeTransformer

#: Every architecture by name. A new one is a file beside cnn.py and a line here.
ARCHITECTURES: dict[str, Callable[[int, HeadOptions], Network]] = {
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
    there is one number, three quantiles, or 0: it is then that of the events' distribution.
    ``n_features`` standardised features of each sample join the images. ``members`` networks of
    this kind are averaged.
    """

    architecture: str = "cnn"
    width: int = 16
    hidden: int = 64
    dropout: float = 0.2
    n_events: int = len(EVENTS)
    n_quantiles: int = 1
    n_features: int = 0
    members: int = 1


def build_forecasting(config: NetworkConfig) -> nn.Module:
    """Make what forecasts: the network of a config, or the mean of its members."""
    networks = [build(config) for _ in range(config.members)]
    return networks[0] if config.members == 1 else NetworkMean(networks)


def build(config: NetworkConfig) -> Network:
    """Make one network of a config; its weights come from torch's current random state.

    Raises
    ------
    ConfigInvalid
        No architecture has that name.
    """
    if config.architecture not in ARCHITECTURES:
        raise ConfigInvalid(
            f"no architecture {config.architecture!r}; choose one of {', '.join(ARCHITECTURES)}"
        )
    options = HeadOptions(
        config.hidden, config.dropout, config.n_events, config.n_quantiles, config.n_features
    )
    return ARCHITECTURES[config.architecture](config.width, options)
