"""Tags for the git commit that a run was started from."""

import subprocess
from contextlib import suppress

from mlflow.tracking.context import registry as run_context


def git_tags() -> dict[str, str]:
    """Return the commit of the working folder, and whether it has changes; empty outside git."""
    known = run_context.resolve_tags()
    commit = known.get("mlflow.source.git.commit") or _git("rev-parse", "HEAD").strip()
    if not commit:
        return {}
    changed = str(bool(_git("status", "--porcelain"))).lower()
    return {"mlflow.source.git.commit": commit, "flare.git_dirty": changed}


def _git(*arguments: str) -> str:
    with suppress(OSError, subprocess.SubprocessError):  # uses the git of PATH on purpose
        command = ["git", *arguments]
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL, timeout=10)
    return ""
