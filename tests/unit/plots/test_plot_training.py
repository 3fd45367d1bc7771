import numpy as np

from flare.plots.training import feature_importance, training_curve

EPOCHS = [
    {"epoch": 1, "train_loss": 1.0, "validation_loss": 1.2, "validation_tss": 0.1},
    {"epoch": 2, "train_loss": 0.7, "validation_loss": 0.9},
    {"epoch": 3, "train_loss": 0.5, "validation_loss": 0.8, "validation_tss": 0.5},
]


def test_losses_and_scores_are_drawn_by_epoch_and_the_best_one_is_marked():
    losses, scores = training_curve(EPOCHS, scores=("validation_tss",), best_epoch=2).axes
    np.testing.assert_array_equal(losses.lines[0].get_xydata(), [[1, 1.0], [2, 0.7], [3, 0.5]])
    np.testing.assert_array_equal(losses.lines[1].get_ydata(), [1.2, 0.9, 0.8])
    assert scores.lines[0].get_label() == "validation tss"
    np.testing.assert_array_equal(scores.lines[0].get_ydata(), [0.1, np.nan, 0.5])
    for axes in (losses, scores):
        assert axes.lines[-1].get_label() == "best: epoch 2"
        assert list(axes.lines[-1].get_xdata()) == [2, 2]


def test_the_largest_importances_stand_on_top_and_the_rest_is_left_out():
    shares = {f"feature_{k}": k / 1225 for k in range(50)}
    axes = feature_importance(shares, most=5).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f"feature_{k}" for k in (49, 48, 47, 46, 45)]
    assert axes.get_yticks()[0] == max(axes.get_yticks())
    assert np.isclose(axes.patches[0].get_width(), 49 / 1225)
