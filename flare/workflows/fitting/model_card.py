"""The model card of a registered version: purpose, data, postprocessing, scores, limits.

It is written when a version is registered, with its validation scores, and again with the test
scores when it is evaluated on a test split. After Mitchell et al. 2019, arXiv:1810.03993.
"""

import math
from collections.abc import Mapping
from string import Template

from flare.forecasters.base import Forecaster
from flare.forecasters.postprocessing.calibration import Calibration
from flare.goes import HEADLINE_EVENT
from flare.tracking.registry import (
    RegisteredVersion,
    describe_version,
    put_run_text,
    run_commit,
    version_tags,
)
from flare.tracking.tags import (
    DATA_TAG,
    FINGERPRINT_TAG,
    KIND_TAG,
    MODEL_CARD,
    ON_VALIDATION,
    POSTPROCESSING_TAG,
    SPLIT_TAG,
)
from flare.verification.scorecard import Scorecard
from flare.verification.scores import FLUX, Score, name_of
from flare.verification.table import markdown_table

TEMPLATE = Template(
    """\
# Model card: $label

$warning

## What it is
A **$kind** that forecasts, from up to $n_images SDO images of one active region
($steps, $channels), the largest GOES 1-8 Å peak flux of the next $window_hours hours: log10 of the
flux with an interval of $interval_level %, and the probability of a flare of at least $events.
Images of $image_size pixels; missing images are masked, not filled in.

## What it is for
- Comparing methods of flare forecasting on the same active regions, and research on them.
- Not for decisions that need a forecast of the whole Sun: it sees one active region at a time.
- Not for warnings that people or machines depend on, without a forecaster who knows its limits.

## What it was made from
- Data: $data_name, $data_kind; fingerprint `$fingerprint`
- $n_samples samples of $n_regions active regions; training and validation share none;
  split `$split`
- Run `$run_id`, code `$commit`

## Calibration, alarms, interval
Fitted after training, on forecasts for regions that were not trained on; never on a test
split.

$postprocessing

## Scores
$scores

Intervals are of $level %, from resampling active regions. BSS is against the event rate of the
scored samples. Alarms are at the thresholds above. A dash is undefined.

## Limits
- The flux labels are those of the dataset: SDOBenchmark's are NOAA fluxes divided by 0.85, and a
  label of 1e-5 is a C8.5.
- The samples of a test split that was chosen by its labels hold more flares than the Sun has; there
  a probability that is right for training is too low. A base rate can be stated: `-P base_rates=`.
- Instruments degrade, and active regions near the limb are seen foreshortened.
$limits
"""
)

_SYNTHETIC_WARNING = (
    "**SYNTHETIC: made from invented active regions. It has no skill on the real Sun that anybody "
    "has measured, and must not be used for it.**"
)
_REAL_WARNING = "Made from real observations; its scores below are all that was measured."

_OPTIMISTIC = (
    "\n- Its postprocessing was fitted on the validation regions (folds=0): its validation scores "
    "are optimistic."
)

#: The scores that a card shows: event and name.
_SHOWN = (
    (HEADLINE_EVENT, "brier_skill_score"),
    (HEADLINE_EVENT, "true_skill_statistic"),
    (HEADLINE_EVENT, "heidke_skill_score"),
    (HEADLINE_EVENT, "roc_area"),
    ("C1.0", "brier_skill_score"),
    ("C1.0", "true_skill_statistic"),
    (FLUX, "log10_flux_mae"),
    (FLUX, "interval_coverage"),
)


def model_card(
    forecaster: Forecaster,
    *,
    label: str,
    tags: Mapping[str, str],
    run_id: str | None,
    commit: str | None,
    validation: Scorecard | None,
    test: Mapping[str, Scorecard] | None = None,
    test_name: str = "test",
) -> str:
    """Return the card as Markdown.

    ``tags`` are those of the registered version. ``validation`` and ``test`` are scores on the
    validation regions and on a test split, these by the name of the forecaster, the version's own
    first; None where it was not scored yet. ``test_name`` is dataset and split of the latter.
    """
    spec, origin = forecaster.spec, forecaster.origin
    steps = len(spec.step_offsets_minutes)
    synthetic = origin.synthetic
    return TEMPLATE.substitute(
        label=label,
        warning=_SYNTHETIC_WARNING if synthetic else _REAL_WARNING,
        kind=tags.get(KIND_TAG, forecaster.kind),
        n_images=steps * len(spec.channels),
        steps=f"{steps} time steps",
        channels=f"{len(spec.channels)} channels",
        window_hours=spec.window_hours,
        interval_level=f"{100 * spec.interval_level:g}",
        events=", ".join(spec.events),
        image_size=spec.image_size,
        data_name=tags.get(DATA_TAG, origin.data_name),
        data_kind="SYNTHETIC" if synthetic else "real",
        fingerprint=tags.get(FINGERPRINT_TAG, origin.data_fingerprint),
        n_samples=origin.n_samples,
        n_regions=len(origin.active_regions),
        split=tags.get(SPLIT_TAG, "unknown"),
        run_id=run_id or "unknown",
        commit=commit or "unknown",
        postprocessing="\n".join(f"- {line}" for line in postprocessing_lines(forecaster)),
        scores=_scores(validation, test, test_name),
        level=f"{100 * validation.level:g}" if validation else "95",
        limits=(
            "- SYNTHETIC regions are simpler than the Sun: docs/synthetic.md says in what.\n"
            if synthetic
            else ""
        )
        + _interval_line(forecaster)
        + (_OPTIMISTIC if tags.get(POSTPROCESSING_TAG) == ON_VALIDATION else ""),
    )


def _interval_line(forecaster: Forecaster) -> str:
    """Describe how the interval was made."""
    low, high = forecaster.postprocessing.residual_low, forecaster.postprocessing.residual_high
    if _has_quantiles(forecaster):
        return (
            "- The interval lies between quantiles that the network gives each sample, moved by "
            f"{low:+.2f} and {high:+.2f} dex to hold its level."
        )
    return (
        f"- The interval was made from residuals between {low:+.2f} and {high:+.2f} dex: it is "
        "equally wide for all samples."
    )


def _has_quantiles(forecaster: Forecaster) -> bool:
    if forecaster.kind != "neural":
        return False
    from flare.forecasters.network import NetworkForecaster  # torch, which a forest does without

    return isinstance(forecaster, NetworkForecaster) and forecaster.config.n_quantiles > 1


def postprocessing_lines(forecaster: Forecaster) -> list[str]:
    """List the calibration, base rate and decision threshold of each event."""
    postprocessing = forecaster.postprocessing
    lines = []
    for event in forecaster.spec.events:
        calibration = postprocessing.calibrations.get(event, Calibration())
        rate = postprocessing.rates.get(event)
        known = "" if rate is None else f", base rate {rate:#.2g}"
        if event in postprocessing.stated_rates:
            known += f", moved to the stated {postprocessing.stated_rates[event]:g}"
        lines.append(
            f"{event}: calibration {calibration.method}{known}, decision threshold "
            f"{postprocessing.thresholds[event]:#.2g}"
        )
    return lines


def _scores(
    validation: Scorecard | None, test: Mapping[str, Scorecard] | None, test_name: str
) -> str:
    parts = []
    if validation is not None:
        parts += [_caption("Validation", validation), _table({"this version": validation})]
    if test is None:
        parts.append("Not scored on a test split yet: `mlflow run . -e evaluate`.")
    else:
        parts += [_caption(test_name, next(iter(test.values()))), _table(test)]
    return "\n\n".join(parts)


def _caption(title: str, card: Scorecard) -> str:
    n_events = card.get(HEADLINE_EVENT, "brier_score").n_events
    n, n_regions, scale, _ = card.samples()
    return (
        f"**{title}**: {n} samples of {n_regions} active regions with {n_events} events of "
        f"{HEADLINE_EVENT}, label scale {scale}."
    )


def _table(cards: Mapping[str, Scorecard]) -> str:
    rows = [
        [name_of(event, name), *(_cell(card.get(event, name)) for card in cards.values())]
        for event, name in _SHOWN
    ]
    return markdown_table(["score", *cards], rows)


def _cell(score: Score) -> str:
    if math.isnan(score.value):
        return "-"
    if math.isnan(score.low):
        return f"{score.value:z.3f}"
    return score.text("z.3f")


#: The scores that versions are tagged with and promoted by: higher is better.
TAGGED_SCORES = ("brier_skill_score", "true_skill_statistic")

_LONGEST = 5000  # characters of a description in the registry


def score_tags(card: Scorecard, split: str) -> dict[str, str]:
    """Return scores of the headline event as tags, such as ``flare.test_brier_skill_score``.

    With the number of its events; an undefined score is left out.
    """
    tags = {f"flare.{split}_n_events": str(card.get(HEADLINE_EVENT, TAGGED_SCORES[0]).n_events)}
    for name in TAGGED_SCORES:
        value = card.value(HEADLINE_EVENT, name)
        if not math.isnan(value):
            tags[f"flare.{split}_{name}"] = f"{value:.6f}"
    return tags


def description_of(card: str) -> str:
    """Return a model card as the description of a version; cut at a line where it is too long."""
    if len(card) <= _LONGEST:
        return card
    rest = f"\n\nThe rest is in `{MODEL_CARD}` among the artifacts of the source run."
    return card[: _LONGEST - len(rest)].rpartition("\n")[0] + rest


def put_card(
    version: RegisteredVersion,
    forecaster: Forecaster,
    *,
    validation: Scorecard | None,
    test: dict[str, Scorecard] | None = None,
    test_name: str = "test",
) -> None:
    """Write the model card of a version to the artifacts of its run and to its page."""
    card = model_card(
        forecaster,
        label=f"{version.name} version {version.version}",
        tags=version_tags(version),
        run_id=version.run_id,
        commit=run_commit(version),
        validation=validation,
        test=test,
        test_name=test_name,
    )
    put_run_text(version, card, MODEL_CARD)
    describe_version(version.name, version.version, description_of(card))
