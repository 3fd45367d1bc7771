"""pyproject.toml, python_env.yaml, conda.yaml and requirements.lock describe one environment."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def requirement_lines(name: str) -> list[str]:
    content = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))["dependencies"]
    nested = [item["pip"] for item in content if isinstance(item, dict)]
    return nested[0] if nested else content


def pins(lines: list[str]) -> dict[str, str]:
    return {canonicalize_name(k): v for k, v in (line.split("==") for line in lines)}


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return pins([line for line in lines if not line.startswith("#")])


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def wanted() -> dict[str, Requirement]:
    extras = project()["optional-dependencies"]
    result = map(Requirement, project()["dependencies"] + extras["train"] + extras["serve"])
    return {canonicalize_name(one.name): one for one in result}


def test_conda_and_mlflow_build_the_same_environment():
    assert requirement_lines("conda.yaml") == requirement_lines("python_env.yaml")


def test_they_hold_what_the_package_depends_on_and_nothing_else():
    assert set(pins(requirement_lines("python_env.yaml"))) == set(wanted())


def test_every_pin_is_the_locked_one_and_within_the_packages_range():
    for name, version in pins(requirement_lines("python_env.yaml")).items():
        assert locked()[name] == version
        assert wanted()[name].specifier.contains(version)


def test_tools_are_locked_within_their_range():
    extras = project()["optional-dependencies"]
    for line in extras["dev"] + extras["docs"]:
        requirement = Requirement(line)
        version = locked()[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version)


def test_python_is_pinned_alike_and_to_the_micro_version():
    python = yaml.safe_load((ROOT / "python_env.yaml").read_text(encoding="utf-8"))["python"]
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text(encoding="utf-8"))["dependencies"]
    assert re.fullmatch(r"3\.11\.\d+", python)
    assert f"python={python}" in conda


def test_torch_is_pinned_exactly_so_that_every_installer_takes_the_same_build():
    assert str(wanted()["torch"].specifier) == "==2.13.0"


def test_no_pin_names_a_build_of_one_machine():
    assert [v for v in locked().values() if "+" in v] == []
