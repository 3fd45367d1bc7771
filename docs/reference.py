"""Write the reference pages from the code: entry points, settings, REST, Python."""

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import flare
from flare.config import ENTRY_POINTS
from flare.config.groups import EntryConfig, text_of
from serving.app import create_app
from serving.settings import Settings, variables


def write_reference(folder: Path) -> None:
    """Write a page for each kind of reference."""
    folder.mkdir(exist_ok=True)
    pages = {
        "entry-points": entry_points(),
        "settings": settings(),
        "rest": rest(create_app(Settings()).openapi()),
        "python": python(),
    }
    for name, lines in pages.items():
        (folder / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def entry_points() -> Iterator[str]:
    """Describe every entry point and its parameters."""
    yield "# Entry points\n"
    yield "`mlflow run . -e NAME -P PARAMETER=VALUE`, or"
    yield "`python -m entrypoints.NAME --PARAMETER VALUE`."
    for name, config in ENTRY_POINTS.items():
        yield f"\n## `{name}`\n\n{_one_line(config.__doc__)}\n"
        if config.model_fields:
            yield from _table("parameter", "default", "values", "what", rows=_parameters(config))


def _parameters(config: type[EntryConfig]) -> Iterator[tuple[str, ...]]:
    schema = config.model_json_schema()
    for name, field in config.model_fields.items():
        default = text_of(field.default)
        yield (
            f"`{name}`",
            _code(default),
            _values(schema["properties"][name], schema),
            field.description or "",
        )


def _values(about: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return choices or bounds of a parameter; its type where it has neither."""
    if "$ref" in about:
        about = schema["$defs"][about["$ref"].rsplit("/", 1)[1]]
    options = [one for one in about.get("anyOf", [about]) if one.get("type") != "null"]
    texts = []
    for one in options:
        if "enum" in one or "const" in one:
            choices = one.get("enum", [one.get("const")])
            texts.append(", ".join(_code(text_of(choice)) or "empty" for choice in choices))
            continue
        bounds = {
            "minimum": ">=",
            "exclusiveMinimum": ">",
            "maximum": "<=",
            "exclusiveMaximum": "<",
        }
        limits = [f"{sign} {one[key]:g}" for key, sign in bounds.items() if key in one]
        texts.append(" ".join([one.get("type", "text"), ", ".join(limits)]).strip())
    return " or ".join(texts)


def settings() -> Iterator[str]:
    """Describe the environment variables of the server."""
    yield "# Settings of the server\n"
    yield "Environment variables of `make serve`, `python -m serving` and `-e serve`.\n"
    rows = ((f"`{name}`", _code(default), what) for name, default, what in variables())
    yield from _table("variable", "default", "what", rows=rows)


def rest(document: dict[str, Any]) -> Iterator[str]:
    """Describe the endpoints of an OpenAPI document, and the fields of their answers."""
    yield f"# REST\n\n{document['info']['description']}\n"
    yield "Made from `/openapi.json`; a server shows the same, with examples, at `/docs`."
    for path, methods in document["paths"].items():
        for method, about in methods.items():
            what = _one_line(about.get("description") or about["summary"])
            yield f"\n## `{method.upper()} {path}`\n\n{what}\n"
            rows: Any = [
                (f"`{one['name']}` ({one['in']})", _one_line(one.get("description")))
                for one in about.get("parameters", [])
            ]
            if rows:
                yield from _table("parameter", "what", rows=rows)
                yield ""
            rows = [
                (code, _one_line(one["description"])) for code, one in about["responses"].items()
            ]
            yield from _table("status", "what", rows=rows)
    for name, about in document["components"]["schemas"].items():
        fields = about.get("properties", {})
        yield f"\n## `{name}`\n\n{_one_line(about.get('description'))}\n"
        rows = [(f"`{key}`", _one_line(one.get("description"))) for key, one in fields.items()]
        if rows:
            yield from _table("field", "what", rows=rows)


#: Modules whose docstrings are in the reference: what a notebook or a program of one's own calls.
API = re.compile(
    r"flare\.(sample|goes|forecast|errors|seeding|config(\..+)?|workflows\.(data\.)?\w+|datasets\..+|"
    r"features\..+|verification\..+|forecasters\..+)"
)


def python() -> Iterator[str]:
    """List modules of flare, for Sphinx to insert their docstrings."""
    yield "# Python\n\nA workflow is one call: `flare.workflows.train.run(TrainConfig(epochs=30))`."
    for package in pkgutil.walk_packages(flare.__path__, "flare."):
        if API.fullmatch(package.name):
            name = package.name
            import_module(name)  # autodoc's own import sets TYPE_CHECKING, which MLflow cannot bear
            yield f"\n## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```"


def _table(*head: str, rows: Any) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
