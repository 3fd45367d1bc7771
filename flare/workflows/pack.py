"""Entry point ``pack``: decode a dataset once."""

from flare.config import PackConfig
from flare.datasets.pack.reader import Pack, verify_pack
from flare.progress import counter
from flare.tracking.runs import start
from flare.workflows.fitting.training_data import log_pack, open_packed


def run(config: PackConfig) -> Pack:
    """Pack the dataset, verify the pack if asked to, log its identity and what is missing."""
    with start("pack", name=f"pack {config.data_dir.name} {config.image_size} px") as tracked:
        tracked.log_config(config)
        found = open_packed(
            config.data_dir,
            config.pack_dir,
            image_size=config.image_size,
            processes=config.processes,
        )
        if config.verify:
            with counter("verify") as progress:
                verify_pack(found, progress=progress)
        log_pack(tracked, found, config.data_dir, context="packed", profile=found.samples)
        tracked.log_metrics({f"missing/{name}": count for name, count in found.missing.items()})
        tracked.log_metrics({f"rejected/{why}": n for why, n in found.rejected_counts.items()})
        tracked.log_file(found.folder / "pack.json")
        tracked.log_file(found.folder / "rejected.csv")
    return found
