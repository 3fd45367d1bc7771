"""Two forecasters on the same resamples: by how much their scores differ."""

from collections.abc import Iterable, Mapping

from flare.errors import VerificationInvalid
from flare.forecast import Forecast
from flare.verification.inputs import FloatArray, Observations, check_scorable
from flare.verification.resampled import Resampled, Score, check_known, scored_events


def paired_differences(
    issued_a: Forecast,
    issued_b: Forecast,
    observed: Observations,
    *,
    wanted: Iterable[tuple[str, str]],
    n_resamples: int = 1000,
    seed: int = 0,
    scale: str = "raw",
    level: float = 0.95,
    climatology: Mapping[str, float] | None = None,
) -> list[Score]:
    """Return how much higher scores of ``issued_a`` are than those of ``issued_b``.

    All come from one set of resamples, the same for both, so each interval is that of the
    difference: where it does not hold 0, the two differ. Intervals are of one score each: of
    twenty differences between equal forecasters one is expected to be without 0.

    Parameters
    ----------
    wanted
        Pairs of an event (a class that both issued, ``"published"``, or ``"flux"``) and the name
        of a score as in a Scorecard. The others are those of ``score_forecasts``.

    Returns
    -------
    One Score for each pair, in their order, named ``<score name>_difference``.

    Raises
    ------
    VerificationInvalid
        As ``score_forecasts``, or there is no such event or score.
    """
    pairs = list(wanted)
    for issued in (issued_a, issued_b):
        check_scorable(issued, observed, scale)
        for event, _ in pairs:
            check_known(event, scored_events(issued))
    resampled = Resampled(
        observed, n_resamples=n_resamples, seed=seed, scale=scale, climatology=climatology
    )
    by_event: dict[str, tuple[dict[str, FloatArray], dict[str, FloatArray]]] = {}
    differences = []
    for event, name in pairs:
        if event not in by_event:
            by_event[event] = resampled.values(issued_a, event), resampled.values(issued_b, event)
        of_a, of_b = by_event[event]
        if name not in of_a:
            raise VerificationInvalid(f"no score {name!r}; choose from {sorted(of_a)}")
        difference = of_a[name] - of_b[name]
        differences.append(resampled.score(event, f"{name}_difference", difference, level))
    return differences


def paired_difference(
    issued_a: Forecast,
    issued_b: Forecast,
    observed: Observations,
    *,
    event: str,
    score_name: str,
    n_resamples: int = 1000,
    seed: int = 0,
    scale: str = "raw",
    level: float = 0.95,
) -> Score:
    """Return how much higher one score of ``issued_a`` is than that of ``issued_b``.

    Parameters and errors are those of ``paired_differences``, which does several at once.
    """
    return paired_differences(
        issued_a,
        issued_b,
        observed,
        wanted=[(event, score_name)],
        n_resamples=n_resamples,
        seed=seed,
        scale=scale,
        level=level,
    )[0]
