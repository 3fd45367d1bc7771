"""Entry point ``pack``: decode the images of a dataset once, into memory-mapped files."""

from flare.config import PackConfig
from flare.datasets.pack.reader import Pack, verify_pack
from flare.progress import counter
from flare.tracking.runs import start
from flare.workflows.fitting.training_data import log_pack, open_packed


def run(config: PackConfig) -> Pack:
    """Pack the dataset, verify the pack if the config says so, and log its counts and identity."""
    with start("pack", name=f"pack {config.data_dir.name} {config.image_size} px") as tracked:
        tracked.log_config(config)
        packed = open_packed(config, config.image_size)
        if config.verify:
            with counter("verify") as progress:
                verify_pack(packed, progress=progress)
        log_pack(tracked, packed, config.data_dir, context="packed", profile=packed.samples)
        tracked.log_metrics({f"missing/{name}": count for name, count in packed.missing.items()})
        tracked.log_metrics({f"rejected/{why}": n for why, n in packed.rejected_counts.items()})
        tracked.log_file(packed.folder / "pack.json")
        tracked.log_file(packed.folder / "rejected.csv")
    return packed
