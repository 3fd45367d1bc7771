"""Today's Sun: numbered regions, full-disk FITS images, and cut-outs that follow a region.

sunpy reads the files and knows the coordinates; it is the optional extra ``sun``, imported in
functions only.
"""

from importlib.util import find_spec

from flare.errors import ConfigInvalid


def require_sunpy() -> None:
    """Raise ConfigInvalid unless sunpy with its maps is installed."""
    missing = [name for name in ("astropy", "sunpy", "reproject") if find_spec(name) is None]
    if missing:
        raise ConfigInvalid(
            f"nowcast needs packages that are not installed, {', '.join(missing)}; "
            "run pip install -c requirements.lock -e '.[sun]'"
        )
