"""Entry point ``synthesize``: a synthetic dataset in SDOBenchmark's layout."""

from flare.config import SynthesizeConfig
from flare.datasets.fingerprint import content_fingerprint
from flare.datasets.synthetic import SyntheticSummary, synthesize
from flare.tracking.data_identity import log_data
from flare.tracking.runs import start
from flare.workflows.progress import bar


def run(config: SynthesizeConfig) -> SyntheticSummary:
    """Make the dataset, and log what was made."""
    with start("synthesize", name=f"synthesize {config.data_dir.name}") as tracked:
        tracked.log_params(config.model_dump())
        summary = synthesize(
            config.data_dir,
            n_training=config.samples_training,
            n_test=config.samples_test,
            seed=config.data_seed,
            processes=config.processes or None,
            progress=bar("synthesize"),
        )
        log_data(
            tracked,
            name="synthetic",
            fingerprint=content_fingerprint(config.data_dir),
            source=str(config.data_dir),
            synthetic=True,
            context="synthesized",
            profile={"training": config.samples_training, "test": config.samples_test},
        )
    return summary
