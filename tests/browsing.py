"""A server to look at, and a tab of the system's Chromium that looks at its page."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from flare.forecasters.base import ForecasterSpec, Origin
from flare.forecasters.climatology import Climatology, fit_climatology
from flare.forecasters.folder import save

ROOT = Path(__file__).resolve().parents[1]
LABELS = np.array([1e-9, 1e-9, 3e-7, 2e-6, 4e-6, 3e-5])


def climatology(labels: NDArray[np.float64] = LABELS) -> Climatology:
    origin = Origin("0", "test", True, (), len(labels))
    return fit_climatology(labels, spec=ForecasterSpec(image_size=256), origin=origin)


class Server:
    """The REST service as a process of its own, with a folder as its model."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.model = folder / "model"
        if not self.model.exists():
            save(climatology(), self.model)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "FLARE_"))}
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uvicorn",
                "serving.app:create_app",
                "--factory",
                "--port=0",
                "--no-access-log",
            ],
            cwd=ROOT,
            env=kept
            | {"FLARE_MODEL": str(self.model), "FLARE_STATE_DIR": str(folder / "state")}
            | {"FLARE_POLL_SECONDS": "0.2", "FLARE_ACCESS_LOG": "0"}
            | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = self._address()

    def _address(self) -> str:
        lines = []
        for line in self._process.stderr or ():
            lines.append(line)
            if found := re.search(r"running on (http://\S+)", line):
                return found[1]
        self.stop()
        return pytest.fail("the server did not start:\n" + "".join(lines))

    def serve_another(self) -> None:
        """Put another forecaster in the place of the one that is served."""
        self.model.rename(self.model.with_name("former"))
        save(climatology(LABELS * 3), self.model)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


class Visit:
    """One tab, and what it did that a good page does not do."""

    def __init__(self, chromium: Any, address: str, **options: Any) -> None:
        self._context = chromium.new_context(**options)
        self.page = self._context.new_page()
        self.page.set_default_timeout(15_000)
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("request", self._follow)
        self._address = address
        self.page.goto(address)
        self.page.wait_for_selector("#model-body .version, #model-body > p:not(.small)")

    def _hear(self, message: Any) -> None:
        # Chromium itself logs each answer of 4xx, which the page shows to its user.
        refused = "Failed to load resource: the server responded with a status of 4"
        if message.type in ("error", "warning") and not message.text.startswith(refused):
            self.errors.append(message.text)

    def _follow(self, request: Any) -> None:
        if not request.url.startswith((f"{self._address}/", "blob:", "data:")):
            self.elsewhere.append(request.url)

    def example(self) -> Any:
        self.page.click("#example")
        self.page.wait_for_selector("#grid .tile")
        return self.page

    def upload(self, *files: object) -> Any:
        """Choose files: paths, or pairs of a name and bytes."""
        chosen = [
            str(one)
            if isinstance(one, Path)
            else {"name": one[0], "mimeType": "application/octet-stream", "buffer": one[1]}
            for one in files
        ]
        self.page.set_input_files("#files", chosen)
        self.page.wait_for_selector("#sample[aria-busy=false]")
        return self.page

    def close(self) -> None:
        self._context.close()
