"""A real PostgreSQL of Debian's packages, in a temporary folder, on a free port of 127.0.0.1."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

#: Where Debian puts `initdb` and `postgres`; its `postgresql` package need not run a cluster.
_DEBIAN = Path("/usr/lib/postgresql")


class PostgreSQL:
    """A cluster with one user, whose password is asked for; it may be stopped and started again."""

    user = "flare"

    def __init__(self, folder: Path, binaries: Path, owner: str | None) -> None:
        self.password = secrets.token_hex(12)
        self.port = free_port()
        self._binaries, self._owner = binaries, owner
        self._folder, self._log = folder, folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        secret = folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)  # the folder is the owner's alone
        self._call(
            "initdb", "--pgdata", folder / "data", "--username", self.user, "--pwfile", secret,
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync",
        )  # fmt: skip

    def _call(self, name: str, *words: object) -> None:
        command = [str(self._binaries / name), *map(str, words)]
        done = subprocess.run(
            command, cwd=self._folder, user=self._owner, capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            raise OSError(f"{name}: {done.stderr.strip() or done.stdout.strip()}")

    def start(self, seconds: float = 60) -> None:
        """Start the server, and wait until it answers."""
        settings = (f"port={self.port}", "listen_addresses=127.0.0.1", "fsync=off")
        words = [word for one in (*settings, "unix_socket_directories=") for word in ("-c", one)]
        with self._log.open("ab") as file:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._folder / "data", *words],
                cwd=self._folder,
                user=self._owner,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        deadline = time.monotonic() + seconds
        while True:
            try:
                psycopg.connect(self.address("postgres"), connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise OSError(self._log.read_text(errors="replace")) from error
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the server; its clients lose their connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)  # SIGKILL would leave its children
                self._process.wait(60)
            self._process = None

    def new_database(self, name: str) -> str:
        """Make a database; return its address."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.address(name)

    def address(self, database: str) -> str:
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Run a server; skip the test where there is none, or it cannot be started."""
    versions = [one for one in _DEBIAN.glob("*/bin") if (one / "postgres").exists()]
    others = [Path(found).resolve().parent] if (found := shutil.which("initdb")) else []
    binaries = max(versions, key=lambda one: float(one.parent.name), default=None)
    if binaries is None and others:
        binaries = others[0]
    if binaries is None:
        pytest.skip("no PostgreSQL here; `apt-get install postgresql` to test with one")
    with tempfile.TemporaryDirectory(prefix="flare-postgresql-") as name:
        folder, owner = Path(name), None
        if os.geteuid() == 0:  # as whom PostgreSQL refuses to run
            owner = _other_user()
            shutil.chown(folder, owner)
        try:
            server = PostgreSQL(folder, binaries, owner)
            server.start()
        except OSError as error:
            pytest.skip(f"PostgreSQL of {binaries} cannot be started: {error}")
        try:
            yield server
        finally:
            server.stop()


def _other_user() -> str:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    pytest.skip("PostgreSQL refuses to run as root, and there is no other user here")
