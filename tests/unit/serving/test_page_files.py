import re

import pytest

from serving.app import PAGE


def test_the_page_is_at_the_root(shared):
    answer = shared.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Solar flare forecast</h1>" in answer.text
    assert shared.run(shared.http.head("/")).status_code == 200


@pytest.mark.parametrize(
    ("name", "kind"),
    [("main.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")],
)
def test_its_files_have_their_types(shared, name, kind):
    answer = shared.get(f"/page/{name}")
    assert answer.headers["content-type"].split(";")[0] == kind


@pytest.mark.parametrize("path", ["/", "/page/main.js"])
def test_a_file_that_has_not_changed_is_not_sent_again(shared, path):
    first = shared.get(path)
    assert first.headers["cache-control"] == "no-cache"
    again = shared.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/page/none.js", "/page/%2e%2e/page.py", "/page/..%2fpage.py"])
def test_nothing_else_is_served(shared, path):
    assert shared.get(path).status_code == 404


def test_the_page_has_no_script_or_style_inside_it(shared):
    text = shared.get("/").text
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
