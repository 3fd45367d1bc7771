"""The README's commands for the server, as a shell runs them, and the answer that it shows."""

import json
import re
import shutil
import subprocess

import pytest
from known_models import climatology
from real_server import OURS, ROOT, serving

from flare.forecasters.storage import save
from serving.settings import variables

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## Serve the Production version")[1].split("\n## ")[0]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on PATH")


def blocks() -> list[str]:
    return re.findall(r"^```\n(.*?)^```$", SECTION, flags=re.MULTILINE | re.DOTALL)


def commands(pattern: str, text: str) -> list[list[str]]:
    """Return command lines, their address replaced by a port of this machine that is free."""
    result = re.findall(pattern, text, flags=re.MULTILINE)
    local = [re.sub(r"--host \S+ --port \d+", "--host 127.0.0.1 --port 0", one) for one in result]
    return [one.removeprefix("python -m ").split() for one in local]


@pytest.fixture(scope="module")
def shown() -> dict[str, object]:
    """The JSON that the README shows."""
    return next(json.loads(block) for block in blocks() if block.startswith("{"))


@pytest.fixture(scope="module")
def answered(tmp_path_factory) -> dict[str, object]:
    """What the README's two lines of curl answer, from the server that it starts."""
    folder = tmp_path_factory.mktemp("readme")
    model = save(climatology(-6), folder / "solar-flare")
    (lines,) = (block for block in blocks() if block.startswith("curl"))
    (command,) = commands(r"`((?:uvicorn|python -m serving) [^`]*--port [^`]*)`", SECTION)
    with serving(folder / "state", *command, model=model) as server:
        script = lines.replace("http://127.0.0.1:8000", server.address)
        assert script.count(server.address) == 2
        done = subprocess.run(
            ["bash", "-e"], input=script, cwd=folder, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_make_serve_starts_the_server():
    assert "make serve" in blocks()[0]
    assert commands(r"^serve:.*\n\t(.*)$", MAKEFILE) == [list(OURS)]


def test_the_readme_shows_fields_that_curl_gets_in_their_order(shown, answered):
    assert len(shown) > 10
    assert list(shown) == [name for name in answered if name in shown]


def test_the_readmes_values_are_of_the_types_that_curl_gets(shown, answered):
    assert shape(shown) == shape({name: answered[name] for name in shown})


def test_the_settings_that_the_documents_name_exist():
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("serving*.md")]
    named = set(re.findall(r"FLARE_[A-Z_]+", "\n".join([SECTION, *texts])))
    assert len(named) > 5
    assert named <= {name for name, _, _ in variables()}


def shape(value: object) -> object:
    """Return a value's types, and the keys of its objects in order."""
    if isinstance(value, dict):
        return [(key, shape(one)) for key, one in value.items()]
    if isinstance(value, list):
        return shape(value[0]) if value else None
    return type(value).__name__
