"""Part regions into folds, each of which is left out once."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flare.datasets.splits import region_groups, strata
from flare.errors import DatasetInvalid
from flare.seeding import Stream, stream


def folds_by_region(table: pd.DataFrame, n_folds: int, *, seed: int) -> NDArray[np.intp]:
    """Deal a table's regions out into folds; return each row's, (N,) in 0..n_folds - 1.

    Neighbouring regions stay together. The regions of each largest class (below C, C, M, X) are
    dealt out separately, so that every fold has its share of the rare strong flares. Which fold a
    region is in depends on the regions and the seed, not on the order of the rows.

    Parameters
    ----------
    table
        Labels as ``read_table`` returns them.
    n_folds
        2 or more.
    seed
        Of the folds alone.

    Raises
    ------
    DatasetInvalid
        There are fewer groups of neighbours than folds.
    """
    groups = region_groups(table)
    if len(groups) < n_folds:
        raise DatasetInvalid(
            f"{sum(map(len, groups))} active regions in {len(groups)} groups of neighbours are too "
            f"few for folds={n_folds}; use fewer folds, folds=0, or a dataset with more regions"
        )
    levels = strata(table, groups)
    sizes = np.zeros(n_folds, dtype=np.intp)  # regions in each fold
    fold_of: dict[int, int] = {}
    for level in sorted(set(levels), reverse=True):
        own = [group for group, stratum in zip(groups, levels, strict=True) if stratum == level]
        dealt = np.zeros(n_folds, dtype=np.intp)
        for k in stream(seed, Stream.FOLDS, level).permutation(len(own)):
            fold = int(np.lexsort((sizes, dealt))[0])  # fewest of this class, then fewest of all
            fold_of.update(dict.fromkeys(own[k], fold))
            dealt[fold] += len(own[k])
            sizes[fold] += len(own[k])
    return np.array([fold_of[int(region)] for region in table["active_region"]], dtype=np.intp)
