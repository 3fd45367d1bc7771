"""Send what the tracking server lacks: `python -m entrypoints.resend`."""

from entrypoints.command import run
from flare.config import ResendConfig


def main(config: ResendConfig) -> None:
    """Send it, and print a line for each run."""
    from flare.workflows.resend import run as resend

    sent = resend(config)
    for one in sent:
        new = f", registered as {one.version.uri}" if one.version is not None else ""
        print(f"run {one.run_id} ({one.entry}) is complete in MLflow{new}")
    if not sent:
        print("MLflow lacks nothing of the runs on this disk")


if __name__ == "__main__":
    run("resend", ResendConfig, main)
