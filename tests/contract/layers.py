"""The layering rule as data, and the function that finds what breaks it."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

#: From the bottom. Rooms of one row do not import one another, but for the bottom row and
#: `workflows`, whose files may use each other as long as there is no cycle.
ROWS: tuple[frozenset[str], ...] = (
    frozenset(
        f"flare.{name}"
        for name in (
            "cores",
            "errors",
            "flux_curve",
            "goes",
            "sample",
            "images",
            "config",
            "seeding",
            "mlproject",
            "files",
            "forecast",
            "forecast_facts",
            "forecast_history",
            "parallel",
            "progress",
            "search_space",
        )
    ),
    frozenset({"flare.datasets", "flare.features", "flare.models", "flare.verification"}),
    frozenset({"flare.training", "flare.forecasters", "flare.plots"}),
    frozenset({"flare.tracking"}),
    frozenset({"flare.workflows.fitting", "flare.workflows.prediction"}),
    frozenset({"flare.workflows.evaluation"}),
    frozenset({"flare.workflows"}),
    frozenset({"entrypoints", "serving"}),
)

#: Who may import these, and nobody else.
CONFINED = {
    "mlflow": ("flare.tracking",),
    "optuna": ("flare.workflows.searching",),
    "fastapi": ("serving",),
    "onnx": ("flare.forecasters.onnx",),
    "onnxruntime": ("flare.forecasters.onnx",),
    "captum": ("flare.forecasters.explanation.gradients",),
    "torch": ("flare.models", "flare.training", "flare.forecasters", "flare.workflows"),
}

#: What serving uses of flare, besides the bottom row.
SERVING_MAY_USE = (
    "flare.forecasters",
    "flare.tracking.registry",
    "flare.tracking.tags",
    "flare.tracking.version_details",
)

#: Exceptions, each with its reason.
ALLOWED = {
    # The entry point starts the other delivery.
    ("entrypoints.serve", "serving"),
}


def violations(root: Path) -> list[str]:
    """Return one line for every import that breaks the rule: file, line, and what to do."""
    result = []
    for path in sorted(
        p for room in ("flare", "entrypoints", "serving") for p in (root / room).rglob("*.py")
    ):
        module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for line, target in imports(path, module):
            problem = _problem(module, target)
            if problem:
                result.append(
                    f"{path.relative_to(root)}:{line}: {module} imports {target}: {problem}"
                )
    return result


def imports(path: Path, module: str) -> Iterator[tuple[int, str]]:
    """Yield the line and dotted name of every import in a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                package = module if path.name == "__init__.py" else module.rpartition(".")[0]
                for _ in range(node.level - 1):
                    package = package.rpartition(".")[0]
                base = f"{package}.{node.module}" if node.module else package
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
            elif node.module:
                # `from flare.workflows import train` imports a file, not a name.
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def _row(module: str) -> tuple[int, str] | None:
    for height, rooms in enumerate(ROWS):
        for room in rooms:
            if _within(module, room):
                return height, room
    return None


def _problem(module: str, target: str) -> str | None:
    package = target.split(".")[0]
    if package in CONFINED and not any(_within(module, room) for room in CONFINED[package]):
        return f"{package} belongs into {', '.join(CONFINED[package])}; move the line there"
    here, there = _row(module), _row(target)
    if there is None:
        known = target in ("flare", "flare.__version__") or package not in ("flare", "serving")
        return None if known else "this room has no place in the layers; add it to tests/contract"
    if here is None:
        return None if module == "flare" else "its own room has no place in the layers"
    allowed = any(_within(module, a) and _within(target, b) for a, b in ALLOWED)
    if there[0] > here[0] and not allowed:
        return f"it lies above; move what is needed down, below {here[1]}"
    same_row = there[0] == here[0] and there[1] != here[1] and here[0] != 0
    if same_row and not allowed:
        return "rooms of one row do not import one another; move what both need down"
    middle = 0 < there[0] < len(ROWS) - 1
    served = any(_within(target, room) for room in SERVING_MAY_USE)
    if _within(module, "serving") and middle and not served:
        return f"serving uses {', '.join(SERVING_MAY_USE)} and the bottom row only"
    return None


def cycles(root: Path) -> list[str]:
    """Return the modules that import each other in a circle, one after the other; none is good."""
    modules = {
        ".".join(p.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): p
        for room in ("flare", "entrypoints", "serving")
        for p in (root / room).rglob("*.py")
    }
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for module, path in modules.items():
        for _, target in imports(path, module):
            while target and target not in modules:
                target = target.rpartition(".")[0]
            if target and target != module and not module.startswith(f"{target}."):
                graph[module].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
