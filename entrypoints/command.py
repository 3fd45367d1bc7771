"""What every entry point does alike: parse, run, and say in one line what went wrong."""

import errno
import logging
import signal
import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import CliApp, CliSettingsSource
from pydantic_settings.exceptions import SettingsError

from flare.config.groups import EntryConfig
from flare.config.network_groups import NetworkOptions
from flare.errors import FlareError

Config = TypeVar("Config", bound=EntryConfig)
TrainingConfig = TypeVar("TrainingConfig", bound=NetworkOptions)

EXPECTED_FAILURE, INTERRUPTED = 2, 130

#: What writing fails with, without saying where.
_NO_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


def run(name: str, config_class: type[Config], workflow: Callable[[Config], None]) -> None:
    """Parse the command line into a config and hand it to the workflow.

    An expected error is one line on stderr and exit code 2; Ctrl-C and SIGTERM are exit code 130.
    """
    config = parse(name, config_class, sys.argv[1:])
    _show_progress()
    # SIGTERM is how clusters and supervisors say Ctrl-C: let it end things in the same order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        workflow(config)
    except FlareError as error:
        fail(name, str(error))
    except OSError as error:
        if error.filename is None and error.errno not in _NO_PLACE:
            raise
        # A full disk, a missing right, a folder that vanished: the machine's state, no defect.
        where = f"{error.filename}: " if error.filename is not None else ""
        fail(name, f"{where}{error.strerror}; make room or rights, or give another place")
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)


def run_in_processes(
    name: str,
    config: TrainingConfig,
    lead: Callable[[TrainingConfig], None],
    run_worker: Callable[[TrainingConfig], None],
) -> None:
    """Run ``lead`` in rank zero and ``run_worker`` in the other processes of a training.

    With several devices and no launcher, this process starts them all as torchrun does.
    """
    from flare.training.processes import global_rank, launch, needs_launch

    if needs_launch(config):
        sys.exit(launch(f"entrypoints.{name}", sys.argv[1:], processes=config.devices))
    rank = global_rank()
    if rank == 0:
        lead(config)
        return
    try:
        run_worker(config)
    except FlareError as error:
        fail(f"{name}, rank {rank}", str(error))


def _show_progress() -> None:
    """Print what workflows say on the way, plainly, on stderr; results go to stdout."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("flare")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def parse(name: str, config_class: type[Config], arguments: list[str]) -> Config:
    """Make a config of arguments such as ``--epochs 5``; exit with 2 if they are bad."""
    source: CliSettingsSource[Config] = CliSettingsSource(
        config_class,
        cli_prog_name=f"python -m entrypoints.{name}",
        cli_exit_on_error=False,
        cli_hide_none_type=True,
        cli_avoid_json=True,
    )
    try:
        return CliApp.run(config_class, cli_args=arguments, cli_settings_source=source)
    except ValidationError as error:
        fail(name, "; ".join(_problem(problem) for problem in error.errors()))
    except SettingsError as error:
        reason = str(error).removeprefix("error parsing CLI: ")
        fail(name, f"{reason}; `python -m entrypoints.{name} --help` lists the parameters")


def fail(name: str, message: str) -> NoReturn:
    """Print one line and exit with 2."""
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(EXPECTED_FAILURE)


def _problem(problem: ErrorDetails) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "parameters"
    reason = problem["msg"].removeprefix("Value error, ")  # which pydantic adds
    return f"{where}={problem['input']!s}: {reason}"
