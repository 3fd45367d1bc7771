"""MLproject as text, made from the configs: `python -m flare.mlproject > MLproject`.

MLflow drops a declared parameter that is absent from the command, and says nothing. Made from one
source, the two cannot part; a test compares the file with this text.
"""

import sys
from pathlib import Path

from flare.config import ENTRY_POINTS
from flare.config.groups import EntryConfig, text_of

_HEADER = """\
# Made from flare/config/__init__.py by `make mlproject`; change it there.
name: solar-flare

python_env: python_env.yaml

entry_points:
"""


def mlproject_text() -> str:
    """Return the whole file."""
    return _HEADER + "\n".join(_entry_point(name, config) for name, config in ENTRY_POINTS.items())


def _entry_point(name: str, config: type[EntryConfig]) -> str:
    parameters = "    parameters:" if config.model_fields else "    parameters: {}"
    lines = [f"  # {' '.join((config.__doc__ or '').split())}", f"  {name}:", parameters]
    for field, about in config.model_fields.items():
        kind, default = _typed(about.default)
        lines += [
            f"      # {about.description}",
            f"      {field}: {{type: {kind}, default: {default}}}",
        ]
    flags = "".join(f" --{field} {{{field}}}" for field in config.model_fields)
    # MLflow quotes what it puts in; an empty text arrives as an empty argument.
    lines.append(f'    command: "python -m entrypoints.{name}{flags}"')
    return "\n".join(lines) + "\n"


def _typed(default: object) -> tuple[str, str]:
    """Return MLproject's type and default; its `path` would copy files, so paths are strings."""
    if isinstance(default, int | float) and not isinstance(default, bool):
        return "float", text_of(default)
    if default is None or isinstance(default, bool | str | Path):
        return "string", f'"{text_of(default)}"'
    raise TypeError(f"MLproject has no way to write {default!r}")


if __name__ == "__main__":
    sys.stdout.write(mlproject_text())
