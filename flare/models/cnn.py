"""The CNN: one small encoder, shared by all time steps."""

from torch import Tensor

from flare.models.blocks import (
    FRAME_CHANNELS,
    OVERVIEW,
    POOLED,
    TIMES,
    Overview,
    StepEncoder,
    blocks,
    pool,
)


class CNN(StepEncoder):
    """Three convolution blocks per time step, pooling, and mean and change over the steps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks = blocks(FRAME_CHANNELS, width, 2 * width, 4 * width)
        self.overview = Overview()
        self.size = TIMES * (POOLED * 4 * width + OVERVIEW)

    def encode(self, frames: Tensor) -> Tensor:
        """Return (B, 8 * width) of frames; the maps are (B, 4 * width, H / 8, W / 8)."""
        return pool(self.blocks(frames))
