import re

import pytest
from serving_fakes import Client, FakeSource

from serving.app import PAGE


@pytest.fixture(scope="module")
def client():
    with Client(FakeSource()) as client:
        yield client


def test_the_page_is_at_the_root(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Solar flare forecast</h1>" in answer.text
    assert client.run(client.http.head("/")).status_code == 200


@pytest.mark.parametrize(
    ("name", "kind"),
    [("main.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")],
)
def test_its_files_have_their_types(client, name, kind):
    answer = client.get(f"/page/{name}")
    assert answer.headers["content-type"].split(";")[0] == kind


@pytest.mark.parametrize("path", ["/", "/page/main.js"])
def test_a_file_that_has_not_changed_is_not_sent_again(client, path):
    first = client.get(path)
    assert first.headers["cache-control"] == "no-cache"
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/page/none.js", "/page/%2e%2e/page.py", "/page/..%2fpage.py"])
def test_nothing_else_is_served(client, path):
    assert client.get(path).status_code == 404


def test_the_page_has_no_script_or_style_inside_it(client):
    text = client.get("/").text
    assert re.findall(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", text) == []


def test_no_file_names_another_origin():
    for path in PAGE.iterdir():
        addresses = set(re.findall(r"https?://[^\s\"'<>;]+", path.read_text(encoding="utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path.name


def test_every_file_is_used_and_every_one_that_is_used_is_there():
    used = {"index.html"}
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        used.update(re.findall(r'from "\./([\w.]+)"', text))
        used.update(re.findall(r'(?:src|href)="/page/([\w.]+)"', text))
    assert used == {path.name for path in PAGE.iterdir()}
