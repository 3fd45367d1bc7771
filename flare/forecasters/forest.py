"""The random forest on image statistics and magnetogram proxies.

One forest regresses log10 of the peak flux, another classifies how many of the ordered events
happened; P(event) is a sum of class probabilities, so it cannot rise towards stronger events.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from flare.cores import usable_cores
from flare.errors import DatasetInvalid, ForecasterInvalid
from flare.features.table import FEATURE_NAMES
from flare.forecasters.base import FeatureForecaster, ForecasterSpec, Origin
from flare.goes import event_outcomes
from flare.search_space import Integers, Reals, Space
from flare.seeding import Stream, integer_seed

#: Not trusted by skops, because scikit-learn does not check the node numbers of a tree.
#: ``_check_trees`` does.
_TREE = "sklearn.tree._tree.Tree"

#: What a search varies, by the names of the parameters of ``baseline``.
FOREST_SPACE: Space = {
    "trees": Integers(low=100, high=400, log=True),
    "min_samples_leaf": Integers(low=1, high=40, log=True),
    "max_features": Reals(low=0.03, high=1.0, log=True),
}

REGRESSOR, CLASSIFIER = "regressor.skops", "classifier.skops"


@dataclass(frozen=True)
class ForestForecaster(FeatureForecaster):
    """Two forests on the features of ``flare.features``."""

    kind: ClassVar[str] = "forest"
    regressor: RandomForestRegressor
    classifier: RandomForestClassifier

    def outputs(
        self, features: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return log10 flux, (N,), and event probabilities, (N, E), before postprocessing."""
        log10_flux = np.asarray(self.regressor.predict(features), dtype=np.float64)
        counts = self.classifier.predict_proba(features)
        probability = np.zeros((len(features), len(self.spec.events)))
        for column, count in enumerate(self.classifier.classes_):
            probability[:, : int(count)] += counts[:, [column]]
        # By rounding the sum of shares may be above 1.
        return log10_flux, np.clip(probability, 0.0, 1.0)

    def importances(self) -> dict[str, float]:
        """Return each feature's share of the regressor's variance reduction; the sum is 1."""
        shares = self.regressor.feature_importances_
        return {name: float(share) for name, share in zip(FEATURE_NAMES, shares, strict=True)}

    def save_parts(self, folder: Path) -> dict[str, object]:
        """Write both forests as skops files; return the names of the features they expect."""
        from skops.io import dump

        dump(self.regressor, folder / REGRESSOR)
        dump(self.classifier, folder / CLASSIFIER)
        return {"features": list(FEATURE_NAMES)}

    @classmethod
    def load_parts(cls, folder: Path, parts: dict[str, Any]) -> dict[str, Any]:
        """Read both forests; skops refuses types that are not on its list."""
        from skops.io import load

        if tuple(parts["features"]) != FEATURE_NAMES:
            raise ForecasterInvalid(
                f"the forest in {folder} was fitted on other features than this version computes; "
                "train it again with `mlflow run . -e baseline`"
            )
        forests = [load(folder / name, trusted=[_TREE]) for name in (REGRESSOR, CLASSIFIER)]
        for forest, kind in zip(
            forests, (RandomForestRegressor, RandomForestClassifier), strict=True
        ):
            _check_trees(forest, kind)
        return {"regressor": forests[0], "classifier": forests[1]}


def fit_forest(
    features: NDArray[np.float64],
    peak_flux: NDArray[np.float64],
    *,
    spec: ForecasterSpec,
    origin: Origin,
    n_trees: int = 300,
    min_samples_leaf: int = 3,
    max_features: float = 0.3,
    seed: int = 0,
    n_jobs: int | None = None,
) -> ForestForecaster:
    """Fit both forests.

    ``features`` are (N, F) of ``compute_features``; NaN means missing and is a value of its own in
    splits. ``peak_flux`` are labels in W m^-2, (N,). ``n_jobs`` is by default one for each core.
    """
    if len(features) == 0:
        raise DatasetInvalid("no training samples to fit a forest on; check the split")
    trees = {
        "n_estimators": n_trees,
        "min_samples_leaf": min_samples_leaf,
        "max_features": max_features,
        "random_state": integer_seed(seed, Stream.FOREST),
        "n_jobs": n_jobs if n_jobs is not None else usable_cores(),
    }
    regressor = RandomForestRegressor(**trees).fit(features, np.log10(peak_flux))
    classes = event_outcomes(peak_flux, spec.events).sum(axis=1)
    classifier = RandomForestClassifier(**trees).fit(features, classes)
    # Predict in one thread: for one sample, starting threads costs more than 300 small trees.
    regressor.n_jobs = classifier.n_jobs = 1
    return ForestForecaster(regressor, classifier, spec=spec, origin=origin)


def _check_trees(forest: Any, kind: type[RandomForestRegressor | RandomForestClassifier]) -> None:
    """Refuse a forest of another kind, and trees with invalid or cyclic node numbers."""
    n_features = len(FEATURE_NAMES)
    if type(forest) is not kind or forest.n_features_in_ != n_features:
        raise ForecasterInvalid(f"wanted a {kind.__name__} of {n_features} features")
    for estimator in forest.estimators_:
        tree = estimator.tree_
        # scikit-learn reduces a node count that is too high, but not one that is too low, and
        # starts at node 0 without a check.
        if tree.node_count < 1:
            raise ForecasterInvalid("a tree of the forest has no nodes; fetch it again")
        number = np.arange(tree.node_count)
        inner = tree.children_left != -1
        for children in (tree.children_left, tree.children_right):
            # A child has a higher number than its parent, so every path ends.
            valid = (children > number) & (children < tree.node_count)
            if not (valid | (~inner & (children == -1))).all():
                raise ForecasterInvalid("a tree of the forest has invalid children; fetch it again")
        features = tree.feature[inner]
        if ((features < 0) | (features >= n_features)).any():
            raise ForecasterInvalid(
                "a tree of the forest uses a feature that does not exist; fetch it again"
            )
