"""Networks: (N, T, C, H, W) images and their mask in, log10 flux and event logits out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from flare.errors import ConfigInvalid
from flare.goes import EVENTS
from flare.models.blocks import Encoder
from flare.models.encoders import CNN, CNN3D, ResNet, StackedCNN, TimeTransformer
from flare.models.heads import Heads


@dataclass(frozen=True)
class NetworkConfig:
    """The architecture and its sizes: what ``build`` needs to make the same network again.

    ``width`` is the number of feature maps of the first block, ``hidden`` the size of the layer
    that both heads share, ``dropout`` the share of it that is dropped in training. ``n_quantiles``
    of the flux are 1 or 3, or 0 where the flux follows from the events' distribution.
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


#: The encoder of every architecture.
ARCHITECTURES: dict[str, Callable[[NetworkConfig], Encoder]] = {
    "cnn": lambda config: CNN(config.width),
    "stacked_cnn": lambda config: StackedCNN(config.width),
    "resnet": lambda config: ResNet(config.width),
    "cnn3d": lambda config: CNN3D(config.width),
    "transformer": lambda config: TimeTransformer(config.width, config.dropout),
}


class Network(nn.Module):
    """An encoder of the images, and the heads that forecast log10 flux and event logits.

    ``forward(cubes, present, features)`` takes float (N, T, C, H, W), normalised per channel and
    zero where an image is missing, bool (N, T, C), and if the heads use any, the standardised
    features (N, D). It returns log10 of the peak flux in W m^-2, (N, Q) with Q quantiles in rising
    order (the middle column is the forecast), and event logits (N, E). With Q = 0 the flux is that
    of the events' distribution, ``flare.flux_curve``.
    """

    def __init__(self, encoder: Encoder, heads: Heads) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = heads

    def forward(
        self, cubes: Tensor, present: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Forecast N samples; see the class."""
        forecast: tuple[Tensor, Tensor] = self.heads(self.encoder(cubes, present), features)
        return forecast


class NetworkMean(nn.Module):
    """The mean of the log10 flux and of the event logits of several networks of one kind.

    If no member's logits rise from an event to a stronger one, their mean does not either.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(
        self, cubes: Tensor, present: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Forecast N samples; see ``Network``."""
        flux, logits = zip(*(one(cubes, present, features) for one in self.members), strict=True)
        return torch.stack(flux).mean(dim=0), torch.stack(logits).mean(dim=0)


def build(config: NetworkConfig) -> Network:
    """Make one network of a config; its weights come from torch's current random state.

    Raises ConfigInvalid: no architecture has that name.
    """
    if config.architecture not in ARCHITECTURES:
        raise ConfigInvalid(
            f"no architecture {config.architecture!r}; choose one of {', '.join(ARCHITECTURES)}"
        )
    encoder = ARCHITECTURES[config.architecture](config)
    heads = Heads(
        encoder.size,
        hidden=config.hidden,
        dropout=config.dropout,
        n_events=config.n_events,
        n_quantiles=config.n_quantiles,
        n_features=config.n_features,
    )
    return Network(encoder, heads)


def build_forecasting(config: NetworkConfig) -> nn.Module:
    """Make the network of a config, or the mean of its members."""
    networks = [build(config) for _ in range(config.members)]
    return networks[0] if config.members == 1 else NetworkMean(networks)


def middle(flux: Tensor) -> Tensor:
    """Return the forecast itself, (N,), of quantiles (N, Q)."""
    return flux[:, flux.shape[1] // 2]
