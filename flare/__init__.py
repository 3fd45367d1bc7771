"""Train, compare, promote and serve solar-flare forecasts from SDO image sequences."""

from flare.cores import configure_openmp

__version__ = "0.1.0"

configure_openmp()  # before anything here imports PyTorch
