import asyncio
import re

import httpx
import pytest
from fastapi import FastAPI

from serving.page import PAGE, add_page


def ask(path: str, *, method: str = "GET", **headers: str) -> httpx.Response:
    async def request() -> httpx.Response:
        app = FastAPI()
        add_page(app)
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(request())


def test_the_page_is_at_the_root() -> None:
    answer = ask("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Solar flare forecast</h1>" in answer.text
    assert ask("/", method="HEAD").status_code == 200


@pytest.mark.parametrize(
    ("name", "kind"),
    [("main.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")],
)
def test_its_files_have_their_types(name: str, kind: str) -> None:
    answer = ask(f"/page/{name}")
    assert answer.headers["content-type"].split(";")[0] == kind


@pytest.mark.parametrize("path", ["/", "/page/main.js"])
def test_a_file_that_has_not_changed_is_not_sent_again(path: str) -> None:
    first = ask(path)
    assert first.headers["cache-control"] == "no-cache"
    again = ask(path, **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/page/none.js", "/page/%2e%2e/page.py", "/page/..%2fpage.py"])
def test_nothing_else_is_served(path: str) -> None:
    assert ask(path).status_code == 404


def test_the_page_has_no_script_or_style_inside_it() -> None:
    text = ask("/").text
    assert re.findall(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", text) == []


def test_no_file_names_another_origin() -> None:
    for path in PAGE.iterdir():
        addresses = set(re.findall(r"https?://[^\s\"'<>;]+", path.read_text(encoding="utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path.name


def test_every_file_is_used_and_every_one_that_is_used_is_there() -> None:
    used = {"index.html"}
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        used.update(re.findall(r'from "\./([\w.]+)"', text))
        used.update(re.findall(r'(?:src|href)="/page/([\w.]+)"', text))
    assert used == {path.name for path in PAGE.iterdir()}
