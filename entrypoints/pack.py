"""Decode a dataset once into memory-mapped files: `mlflow run . -e pack -P data_dir=...`."""

from entrypoints.command import run
from flare.config import PackConfig


def main(config: PackConfig) -> None:
    """Pack the dataset and print its counts, fingerprints and missing images."""
    from flare.workflows.data.pack import run as pack

    packed = pack(config)
    samples = ", ".join(f"{count} {split}" for split, count in packed.samples.items())
    print(f"{packed.folder}: {samples} samples at {packed.image_size} px")
    print(f"dataset's fingerprint {packed.fingerprint}")
    print(f"pack's fingerprint    {packed.pack_fingerprint}")
    if config.verify:
        print("verified: every sample is as it was packed")
    print(f"missing images by channel: {packed.missing}")
    rejected = sum(packed.rejected_counts.values())
    print(f"images that cannot be used: {rejected}, listed in {packed.folder / 'rejected.csv'}")


if __name__ == "__main__":
    run("pack", PackConfig, main)
