"""What the documents name is there: targets, entry points, parameters, files, messages."""

import re
from pathlib import Path

import pytest

from flare.config import ENTRY_POINTS
from flare.workflows.fitting.model_card import TEMPLATE

from contract.layers import ROWS

ROOT = Path(__file__).parents[2]
_OUTSIDE_DOCS = ("README.md", "CONTRIBUTING.md", "data/README.md", "benchmarks/README.md")
#: Without the folders that `make docs` fills.
DOCUMENTS = [ROOT / name for name in _OUTSIDE_DOCS] + [
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def named(pattern: str) -> list[tuple[str, re.Match[str]]]:
    return [
        (str(path.relative_to(ROOT)), match)
        for path in DOCUMENTS
        for match in re.finditer(pattern, path.read_text(encoding="utf-8"))
    ]


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.MULTILINE))
    result = named(r"(?:^|`)make ([a-z-]+)")
    assert result
    assert [(path, match[1]) for path, match in result if match[1] not in targets] == []


def test_every_entry_point_is_in_the_table_and_nothing_else():
    rows = re.findall(r"^\| `([a-z]+)`.*\|$", README, flags=re.MULTILINE)
    assert rows == list(ENTRY_POINTS)


def test_every_mlflow_command_names_an_entry_point_and_its_parameters():
    result = named(r"mlflow run \. -e ([a-z]+)((?: -P [a-z_]+=\S+)*)")
    assert result
    for path, match in result:
        assert match[1] in ENTRY_POINTS, f"{path}: {match[0]}"
        given = set(re.findall(r"-P ([a-z_]+)=", match[2]))
        assert given <= set(ENTRY_POINTS[match[1]].model_fields), f"{path}: {match[0]}"


def test_every_folder_of_the_tree_exists():
    block = README.split("## What is where")[1].split("```")[1]
    top = [line.split()[0] for line in block.splitlines() if line and not line.startswith(" ")]
    inner = re.findall(r"^  ([a-z_]+/)", block, flags=re.MULTILINE)
    assert len(top) >= 7
    assert len(inner) >= 9
    missing = [name for name in top if not (ROOT / name).exists()]
    missing += [name for name in inner if not (ROOT / "flare" / name).is_dir()]
    assert missing == []


def test_every_file_and_module_that_is_named_exists():
    rooms = "flare|serving|entrypoints|tests|benchmarks|docs|notebooks|deploy"
    paths = named(rf"(?<![\w/.:-])((?:{rooms})/[\w./*-]*\w)")
    # A decision may be named by its number.
    missing = [(path, match[1]) for path, match in paths if not list(ROOT.glob(f"{match[1]}*"))]
    # Tags of runs look like modules: `flare.audit`. A name below one that exists is no tag.
    modules = named(r"(?<![\w./-])((?:flare|serving|entrypoints|benchmarks)\.\w+)(\.\w+)+")
    missing += [(path, match[0]) for path, match in modules if not exists(match[0].split("."))]
    assert len(paths) + len(modules) > 100
    assert missing == []


def exists(parts: list[str]) -> bool:
    """Say whether parts such as flare, goes, EVENTS name a module, or a name in one."""
    for n in range(len(parts), 1, -1):
        stem = ROOT.joinpath(*parts[:n])
        file = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
        if file.is_file():
            return all(part in file.read_text(encoding="utf-8") for part in parts[n:])
    return not (ROOT / parts[0] / parts[1]).is_dir()


def test_the_bottom_row_of_the_tree_is_that_of_the_rule():
    (line,) = re.findall(r"^  (.*?) {3,}the bottom row", README, flags=re.MULTILINE)
    folders = {"config", "images"}
    assert {*line.split(), *folders} == {name.removeprefix("flare.") for name in ROWS[0]}


def test_every_room_of_flare_is_in_the_tree():
    block = README.split("## What is where")[1].split("```")[1]
    rooms = {path.name for path in (ROOT / "flare").iterdir() if (path / "__init__.py").exists()}
    assert {room for room in rooms if f"  {room}/" not in block} == set()


@pytest.mark.parametrize("word", ["synthetic", "climatology", "interval"])
def test_the_readme_says_what_a_score_is_compared_with(word):
    assert word in README


def test_every_page_of_docs_is_in_the_contents_of_the_site():
    lines = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert pages - set(lines) == set()  # a line of their own in one of the lists


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_no_document_was_left_with_a_gap_to_fill():
    assert named(r"@@|TODO|TBD|XXX") == []


def test_the_documented_template_is_the_one_that_is_filled_in():
    document = (ROOT / "docs" / "model-card.md").read_text(encoding="utf-8")
    shown = document.split("```markdown\n")[1].split("\n```")[0]
    assert shown.strip() == TEMPLATE.template.strip()


SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for room in ("flare", "serving", "entrypoints")
    for path in sorted((ROOT / room).rglob("*.py"))
)
#: Texts of code with literals that go on in the next line joined, and what they insert as "...".
MESSAGES = re.sub(r"\{[^{}]*\}", "...", re.sub(r'"\s*\n\s*f?"', "", SOURCES))


def quoted(section: str) -> list[str]:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    return re.findall(
        r"^\| `(.+?)`", text.split(f"## {section}")[1].split("\n## ")[0], re.MULTILINE
    )


def test_every_message_of_ours_that_is_quoted_is_one_of_the_code():
    messages = [*quoted("Data"), *quoted("Runs and MLflow"), *quoted("Models and promotion")]
    assert len(messages) > 12
    parts = {part.strip(" ;") for message in messages for part in message.split("...")}
    assert {part for part in parts if part not in MESSAGES} == set()
