"""Entry point ``relocate``: repair the artifact paths of a project that was copied or renamed."""

from flare.config import RelocateConfig
from flare.tracking.relocation import Relocated, relocate


def run(config: RelocateConfig) -> list[Relocated]:  # noqa: ARG001 - every entry point has one
    """Record this project's folder for all of its artifacts; an empty list if it is recorded."""
    return relocate()
