"""What a network is to learn: losses, sampling and augmentation by their names."""

from dataclasses import dataclass

from flare.config.network_groups import EventLoss, FluxLoss, Head, Sampling

#: Share of labels that lie between the outer two of three quantiles; see ``ForecasterSpec``.
INTERVAL_LEVEL = 0.9


@dataclass(frozen=True)
class Objective:
    """The parameters of ``flare.config.network_groups.Aims``."""

    head: Head = "distribution"
    flux_loss: FluxLoss = "l1"
    label_floor: float = 1e-9
    event_loss: EventLoss = "bce"
    event_weight: float = 1.0
    event_balance: float = 0.5
    focal_gamma: float = 2.0
    sampling: Sampling = "natural"
    mirror: bool = True
    shift: float = 0.0
    drift: float = 0.0
    drop: float = 0.0

    @property
    def n_quantiles(self) -> int:
        """How many quantiles of the flux the network has to give: three for ``pinball``.

        None with one distribution, which has the flux in it.
        """
        if self.head == "distribution":
            return 0
        return 3 if self.flux_loss == "pinball" else 1
