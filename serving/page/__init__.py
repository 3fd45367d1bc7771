"""The page for people at ``/``: plain files of ``serving/page/static``, nothing from outside.

``add_page(app)`` puts it into the application. Every file may be kept but has to be asked for
again, so that after an upgrade no page is half old. The policy that it keeps is `Access`'s.
"""

import os
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

PAGE = Path(__file__).resolve().parent / "static"

#: What Python's own table says of ``.js`` is up to the machine.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class PageFiles(StaticFiles):
    """Files that are answered with their types and entity tags."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Answer with a file, or 304 where the client has it already."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        kind = TYPES.get(Path(full_path).suffix)
        if kind is not None and response.status_code == status_code:
            response.headers["Content-Type"] = kind
        response.headers["Cache-Control"] = "no-cache"
        return response


def add_page(app: FastAPI) -> None:
    """Serve the page at ``/`` and its files below ``/page/``."""
    files = PageFiles(directory=PAGE)

    async def index(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    app.add_api_route("/", index, methods=["GET", "HEAD"], include_in_schema=False)
    app.mount("/page", files, name="page")
