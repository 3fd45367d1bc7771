"""Repair a copied or renamed project: `python -m entrypoints.relocate`."""

from entrypoints.command import run
from flare.config import RelocateConfig


def main(config: RelocateConfig) -> None:
    """Repair it, and say what was changed."""
    from flare.workflows.relocate import run as relocate

    done = relocate(config)
    for one in done:
        print(f"{one.locations} locations of artifacts were in {one.old}, and are in {one.new} now")
        if one.copied:
            print(f"{len(one.copied)} folders lay in {one.old} alone, and were copied from there")
    if not done:
        print("every artifact is recorded where this project lies: nothing to do")


if __name__ == "__main__":
    run("relocate", RelocateConfig, main)
