"""Repair a copied or renamed project: `python -m entrypoints.relocate`."""

from entrypoints.command import run
from flare.config import RelocateConfig


def main(config: RelocateConfig) -> None:
    """Repair it, and print what was changed."""
    from flare.workflows.relocate import run as relocate

    done = relocate(config)
    for one in done:
        print(f"moved {one.locations} recorded locations of artifacts from {one.old} to {one.new}")
        if one.copied:
            print(f"copied {len(one.copied)} folders that were in {one.old} alone")
    if not done:
        print("all artifacts are recorded in this project: nothing to do")


if __name__ == "__main__":
    run("relocate", RelocateConfig, main)
