"""Which data a run used, as an MLflow dataset input.

MLflow's own digests look at the first 10,000 rows of a table and collide; ours begins with the
fingerprint of the labels and of every image. MLflow knows a dataset by name and digest alone: it
drops a second input of a run that has both, and shows the first profile for ever. So what the
part is stands in the digest too.
"""

import hashlib
import json
from collections.abc import Mapping

from flare.tracking.names import DATA_TAG, FINGERPRINT_TAG, SYNTHETIC_TAG, UNKNOWN
from flare.tracking.runs import Run


def log_data(
    run: Run,
    *,
    name: str,
    fingerprint: str,
    source: str,
    synthetic: bool | None,
    context: str,
    profile: Mapping[str, int | str],
) -> None:
    """Attach a dataset to a run.

    Parameters
    ----------
    fingerprint
        SHA-256 over the source's labels and images; MLflow's digest begins with 16 digits of it.
    source
        Where the data lie.
    synthetic
        Whether the data are synthetic; None, tagged ``unknown``, where their origin is unknown.
    context
        What they were used for: ``training``, ``validation``, ``test``.
    profile
        Counts worth showing, such as samples and active regions.
    """
    described = json.dumps(dict(profile))
    part = hashlib.sha256(f"{context} {source} {described}".encode()).hexdigest()
    run.log_input(
        {
            "name": name,
            "digest": f"{fingerprint[:16]}-{part[:8]}",
            "source_type": "local",
            "source": json.dumps({"uri": source}),
            "profile": described,
        },
        context=context,
    )
    origin = UNKNOWN if synthetic is None else str(synthetic).lower()
    run.set_tags({DATA_TAG: name, FINGERPRINT_TAG: fingerprint, SYNTHETIC_TAG: origin})
