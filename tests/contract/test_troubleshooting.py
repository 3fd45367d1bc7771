"""docs/troubleshooting.md quotes messages as the code writes them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
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
