"""Decode a dataset once into memory-mapped files: `mlflow run . -e pack -P data_dir=...`."""

from entrypoints.command import run
from flare.config import PackConfig


def main(config: PackConfig) -> None:
    """Pack, and say what was packed and what is missing."""
    from flare.workflows.pack import run as pack

    found = pack(config)
    samples = ", ".join(f"{count} {split}" for split, count in found.samples.items())
    print(f"{found.folder}: {samples} samples at {found.image_size} px")
    print(f"dataset's fingerprint {found.fingerprint}")
    print(f"pack's fingerprint    {found.pack_fingerprint}")
    if config.verify:
        print("every byte of it is as it was packed")
    print(f"missing images by channel: {found.missing}")
    rejected = sum(found.rejected_counts.values())
    print(f"images that cannot be used: {rejected}, all of them in {found.folder / 'rejected.csv'}")


if __name__ == "__main__":
    run("pack", PackConfig, main)
