"""Entry point ``predict``: forecast one sample folder or .npy, or a folder of many samples."""

from flare.config import PredictConfig
from flare.config.groups import PREDICT_EXAMPLE
from flare.errors import ConfigInvalid
from flare.forecast_facts import SampleFacts, Window, parse_time
from flare.tracking.runs import start
from flare.workflows.prediction import predict_many
from flare.workflows.prediction.one_sample import read_one
from flare.workflows.prediction.prediction_table import (
    Forecasts,
    check_output,
    forecast_samples,
    write_forecasts,
)
from flare.workflows.prediction.resolve_model import resolve


def run(config: PredictConfig) -> Forecasts:
    """Forecast the one sample of ``input``, or every sample of ``data_dir`` into a file."""
    if config.data_dir is None:
        if config.shard:
            raise ConfigInvalid(f"shard={config.shard} is a share of data_dir; give that too")
        return _forecast_one(config)
    if config.input != PREDICT_EXAMPLE:
        raise ConfigInvalid(
            f"input={config.input} and data_dir={config.data_dir} are both given; leave one out"
        )
    if config.issue_time or config.active_region:
        raise ConfigInvalid(
            "issue_time and active_region are of one sample; leave them out with data_dir, whose "
            "samples have their own"
        )
    return predict_many.run(config.data_dir, config)


def _forecast_one(config: PredictConfig) -> Forecasts:
    if config.output is not None:
        check_output(config.output)
    issue_time = parse_time(config.issue_time, "issue_time") if config.issue_time else None
    stated = SampleFacts("", Window(issue_time, issue_time), config.active_region or None)
    sample = read_one(config.input, config.scale or None, stated)
    with start("predict", name=f"predict {config.input.name}") as tracked:
        tracked.log_config(config)
        sample.log(tracked, context="prediction")
        model = resolve(config.model, config.model_name).at_rates(config.rates)
        model.log_use(tracked)
        facts = [(sample.id, sample.facts)]
        (row,) = forecast_samples(model, facts, sample.cube[None], sample.present[None])
        forecasts = Forecasts(
            [{**row, "scale": sample.scale}],
            model.label,
            config.output,
            synthetic=row["synthetic"],
            synthetic_data=sample.synthetic,
        )
        tracked.log_metrics(forecasts.summary())
        tracked.log_json({"model": model.label, "forecasts": forecasts.rows}, "forecasts.json")
        if config.output is not None:
            write_forecasts(forecasts.rows, config.output)
    return forecasts
