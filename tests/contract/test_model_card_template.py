from pathlib import Path

from flare.workflows.fitting.model_card import TEMPLATE

DOCUMENT = Path(__file__).parents[2] / "docs" / "model-card.md"


def test_the_documented_template_is_the_one_that_is_filled_in():
    shown = DOCUMENT.read_text(encoding="utf-8").split("```markdown\n")[1].split("\n```")[0]
    assert shown.strip() == TEMPLATE.template.strip()
