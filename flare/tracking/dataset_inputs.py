"""Which data a run used, as an MLflow dataset input.

MLflow's own digests look at the first 10,000 rows of a table and collide; ours begins with the
fingerprint of the labels and of every image. MLflow identifies a dataset by name and digest alone:
it drops a second input of a run that has both, and shows the first profile for ever. So the digest
depends on the part and its use too.
"""

import hashlib
import json
from collections.abc import Mapping

import numpy as np
from mlflow.types import Schema, TensorSpec

from flare.sample import N_CHANNELS, N_STEPS
from flare.tracking.runs import Run
from flare.tracking.tags import DATA_TAG, FINGERPRINT_TAG, SYNTHETIC_TAG, UNKNOWN


def log_data(
    run: Run,
    *,
    name: str,
    fingerprint: str,
    source: str,
    synthetic: bool | None,
    context: str,
    profile: Mapping[str, int | str],
    part: str = "",
    image_size: int | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Attach a dataset to a run, with tags that say the same and ``tags``.

    Parameters
    ----------
    fingerprint
        SHA-256 over the source's labels and images; MLflow's digest begins with 16 digits of it.
    synthetic
        Whether the data are synthetic; None, tagged ``unknown``, where their origin is unknown.
    context
        What they were used for: ``training``, ``validation``, ``test``.
    part
        Which part of it was used, such as ``validation``: it is the end of MLflow's name.
    image_size
        Pixels of an edge of the images, where they are in a pack: for the schema.
    """
    described = json.dumps(dict(profile))
    used = hashlib.sha256(f"{context} {source} {described}".encode()).hexdigest()
    run.log_input(
        {
            "name": f"{name} {part}".strip(),
            "digest": f"{fingerprint[:16]}-{used[:8]}",
            "source_type": "local",
            "source": json.dumps({"uri": source}),
            "profile": described,
            **({} if image_size is None else {"schema": _schema(image_size)}),
        },
        context=context,
    )
    origin = UNKNOWN if synthetic is None else str(synthetic).lower()
    known = {DATA_TAG: name, FINGERPRINT_TAG: fingerprint, SYNTHETIC_TAG: origin}
    run.set_tags(known | dict(tags or {}))


def _schema(image_size: int) -> str:
    """Describe a sample and its label the way MLflow describes arrays."""
    images = TensorSpec(
        np.dtype(np.uint8), (-1, N_STEPS, N_CHANNELS, image_size, image_size), "images"
    )
    labels = TensorSpec(np.dtype(np.float64), (-1,), "peak_flux_w_m2")
    parts = {"features": Schema([images]).to_json(), "targets": Schema([labels]).to_json()}
    return json.dumps({"mlflow_tensorspec": parts})
