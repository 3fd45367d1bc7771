import numpy as np
import pytest
from layout import all_text, unreadable

from flare.plots.explanation import GradientMap, explanation_figure, signed

RNG = np.random.default_rng(0)
CUBE = RNG.integers(1, 256, (4, 10, 32, 32), dtype=np.uint8)


@pytest.mark.parametrize(("synthetic", "with_gradients"), [(True, True), (False, False)])
def test_every_part_is_drawn_and_every_text_can_be_read(synthetic: bool, with_gradients: bool):
    present = np.ones((4, 10), dtype=bool)
    present[1, 8] = False
    figure = explanation_figure(
        CUBE,
        present,
        images=np.where(present, RNG.normal(size=(4, 10)), np.nan),
        channels=RNG.normal(size=10),
        steps=RNG.normal(size=4),
        places=RNG.normal(size=(8, 8)),
        features={"304_excess_last": 2.0, "94_p99_last": -1.0},
        gradients=GradientMap(RNG.normal(size=(16, 16)), {}) if with_gradients else None,
        title=f"a sample: why folder {'a/long/name/' * 20} says 17 % for M1.0 or stronger",
        synthetic=synthetic,
    )
    assert unreadable(figure) == []
    text = all_text(figure)
    assert "missing" in text
    assert ("SYNTHETIC DATA" in text) == synthetic
    assert ("Integrated Gradients" in text) == with_gradients


def test_contributions_are_written_with_sign_and_two_digits_and_nothing_below_the_smallest():
    texts = [signed(value, smallest=0.01) for value in (12.34, -0.345, 0.009, 0.0)]
    assert texts == ["+12", "\N{MINUS SIGN}0.34", "0", "0"]
