"""The steps of ``verify``: forecasts and flares from files, samples, scores, report."""
