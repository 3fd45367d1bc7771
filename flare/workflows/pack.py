"""Entry point ``pack``: decode a dataset once."""

from flare.config import PackConfig
from flare.datasets.packed import Pack
from flare.tracking.data_identity import log_data
from flare.tracking.runs import start
from flare.workflows.data import open_packed


def run(config: PackConfig) -> Pack:
    """Pack the dataset, and log its identity and what is missing in it."""
    with start("pack", name=f"pack {config.data_dir.name} {config.image_size} px") as tracked:
        tracked.log_params(config.model_dump())
        found = open_packed(
            config.data_dir,
            config.pack_dir,
            image_size=config.image_size,
            processes=config.processes,
        )
        log_data(
            tracked,
            name=found.name,
            fingerprint=found.fingerprint,
            source=str(config.data_dir),
            synthetic=found.synthetic,
            context="packed",
            profile=found.samples,
        )
        tracked.log_metrics({f"missing/{name}": count for name, count in found.missing.items()})
        tracked.log_metrics({f"rejected/{why}": n for why, n in found.rejected_counts.items()})
        tracked.log_file(found.folder / "pack.json")
    return found
