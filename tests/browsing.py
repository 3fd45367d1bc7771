"""A server to look at, and a tab of the system's Chromium that looks at its page."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from known_models import LABELS, climatology_of
from real_server import Server, serving

from flare.forecasters.storage import save


@contextmanager
def serving_page(folder: Path, **settings: object) -> Iterator[Server]:
    """Serve the forecaster of ``folder/model``, a climatology if there is none."""
    model = folder / "model"
    if not model.exists():
        save(climatology_of(), model)
    with serving(folder / "state", model=model, **settings) as server:
        yield server


def serve_another(folder: Path) -> None:
    """Put another forecaster in the place of the one that is served."""
    model = folder / "model"
    model.rename(folder / "former")
    save(climatology_of(LABELS * 3), model)


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
