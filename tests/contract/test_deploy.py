"""The files in deploy/ fit the server: its settings, paths, port, metrics and extras."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from serving.history import History
from serving.metrics import Metrics
from serving.routes.information import router
from serving.settings import variables

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())


def text(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.suffix in (".yaml", ".yml", ".json")], ids=lambda p: p.name
)
def test_every_file_can_be_parsed(path):
    assert all(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def test_every_setting_exists():
    texts = "\n".join(path.read_text(encoding="utf-8") for path in FILES)
    named = set(re.findall(r"\bFLARE_[A-Z_]+", texts))
    assert {"FLARE_STATE_DIR", "FLARE_TRACKING_URI"} <= named
    assert named <= {name for name, _, _ in variables()}


def test_the_dashboard_shows_metrics_that_exist(tmp_path):
    texts = Metrics().page(None, History(tmp_path, rows=0), failed=False).decode()
    families = dict(re.findall(r"^# TYPE (\S+) (\w+)", texts, re.MULTILINE))
    buckets = {f"{name}_bucket" for name, kind in families.items() if kind == "histogram"}
    panels = json.loads(text("grafana/flare.json"))["panels"]
    shown = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    named = set(re.findall(r"\bflare_\w+", shown)) - {"flare_class"}
    assert len(named) >= 10
    assert named <= families.keys() | buckets


def test_the_probes_ask_paths_of_the_server():
    (pod,) = [
        one for one in yaml.safe_load_all(text("kubernetes.yaml")) if one["kind"] == "StatefulSet"
    ]
    (container,) = pod["spec"]["template"]["spec"]["containers"]
    probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")]
    assert {one["path"] for one in probes} <= {route.path for route in router.routes}
    assert container["ports"][0]["containerPort"] == 8000


def test_every_container_of_ours_is_read_only():
    server = yaml.safe_load(text("compose.yaml"))["services"]["server"]
    assert server["read_only"] is True
    assert "readOnlyRootFilesystem: true" in text("kubernetes.yaml")
    assert re.search(r"^USER 10001$", text("Dockerfile"), re.MULTILINE)


def test_the_image_copies_what_is_there_and_is_not_ignored():
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text("Dockerfile"), re.MULTILINE)
        for name in line.split()
    }
    assert {"flare", "serving", "requirements.lock"} <= copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert copied <= {line[1:] for line in text("Dockerfile.dockerignore").splitlines()}


def test_the_extras_that_are_installed_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    texts = [*(path.read_text(encoding="utf-8") for path in FILES), makefile]
    groups = re.findall(r"'\.\[([a-z,]+)\]'", "\n".join(texts))
    groups += re.findall(r"call install,(\S+?),\w+ ", makefile.replace("$(comma)", ","))
    named = {one for group in groups for one in group.split(",")}
    assert "serve" in named
    assert named <= project["optional-dependencies"].keys()
