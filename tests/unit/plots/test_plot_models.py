import numpy as np

from flare.plots.training import feature_importance


def test_the_largest_importances_stand_on_top_and_the_rest_is_left_out() -> None:
    shares = {f"feature_{k}": k / 1225 for k in range(50)}
    axes = feature_importance(shares, most=5).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f"feature_{k}" for k in (49, 48, 47, 46, 45)]
    assert axes.get_yticks()[0] == max(axes.get_yticks())
    assert np.isclose(axes.patches[0].get_width(), 49 / 1225)
