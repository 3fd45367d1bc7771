"""Where a training stands, on disk: written whole or not at all, and read without unpickling."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from flare.errors import CheckpointInvalid
from flare.files import atomic_file

State = dict[str, Any]

_FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A file that holds the last state of one training.

    ``identity`` says what it is a training of, as texts by name; a state of another one is refused.
    """

    path: Path
    identity: Mapping[str, str]

    def save(self, state: State) -> None:
        """Replace the state in the file by another, which survives a crash from now on."""
        with atomic_file(self.path, durable=True) as partial:
            torch.save({**state, "format": _FORMAT, "identity": dict(self.identity)}, partial)

    def load(self) -> State | None:
        """Return the state in the file, None if there is no file.

        Raises
        ------
        CheckpointInvalid
            The file is damaged, or of another training; says what differs.
        """
        if not self.path.is_file():
            return None
        try:
            state: State = torch.load(self.path, map_location="cpu", weights_only=True)
            found, version = state["identity"], state["format"]
        except Exception as error:  # torch raises whatever the damage leads to
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise CheckpointInvalid(
                f"{self.path} cannot be read ({first}); delete it to train from the start"
            ) from error
        if version != _FORMAT:
            raise CheckpointInvalid(
                f"{self.path} has format {version}, this version reads {_FORMAT}; delete it to "
                "train from the start"
            )
        other = [name for name, value in self.identity.items() if found.get(name) != value]
        if other:
            raise CheckpointInvalid(
                f"{self.path} is of a training with other {' and '.join(other)}; resume with the "
                "parameters of then, or train from the start with resume left empty"
            )
        return state

    def remove(self) -> None:
        """Delete the file, if there is one."""
        self.path.unlink(missing_ok=True)
