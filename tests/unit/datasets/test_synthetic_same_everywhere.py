"""The same bytes on every processor.

NumPy and the C library choose their loops by what the processor can do. With all of that switched
off, they behave as on the oldest machine that they run on.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flare.config import SynthesizeConfig
from flare.datasets.synthetic.exact import exp, exp_of_image, log, log_of_image
from flare.workflows.fitting.training_data import split_sizes

ROOT = Path(__file__).parents[3]

#: Of a small set with the default seed. If it changes, so does that of the default set, whose
#: first samples these are, in docs/synthetic.md.
FINGERPRINT = "2a44e342a0fd91ffeab088dd11314ad9c50efd8aba0e3ecd7fbca1d1e793d937"

_UMATH = np._core._multiarray_umath
ADDITIONS = [name for name in _UMATH.__cpu_dispatch__ if _UMATH.__cpu_features__[name]]

MAKE = """
import sys
from pathlib import Path
from flare.datasets.sdobenchmark.fingerprint import content_fingerprint
from flare.datasets.synthetic import synthesize
synthesize(Path(sys.argv[1]), n_training=6, n_test=2, processes=1)
print(content_fingerprint(Path(sys.argv[1])))
"""


def fingerprint_on_an_older_machine(dest: Path) -> str:
    environment = {
        **os.environ,
        "NPY_DISABLE_CPU_FEATURES": " ".join(ADDITIONS),
        # The C library chooses its exponential and sine too.
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX2_Usable,-FMA_Usable",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", MAKE, str(dest)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_one_process_of_an_older_machine_makes_the_set_with_the_known_fingerprint(tmp_path):
    assert fingerprint_on_an_older_machine(tmp_path / "set") == FINGERPRINT


def test_the_default_set_has_about_four_hundred_and_at_least_a_hundred_samples():
    default = split_sizes(SynthesizeConfig())
    assert default["n_training"] >= 400
    assert default["n_test"] >= 100


def test_exponential_and_logarithm_are_those_of_the_library_to_the_last_digits():
    x = np.random.default_rng(0).uniform(-700, 700, 10_000)
    np.testing.assert_allclose(exp(x), np.exp(x), rtol=4e-16)
    np.testing.assert_allclose(log(np.exp(x)), np.log(np.exp(x)), rtol=4e-16)


def test_tables_are_as_exact_as_a_grey_level_asks_for():
    x = np.random.default_rng(0).uniform(-11.9, 11.9, (64, 64)).astype(np.float32)
    np.testing.assert_allclose(exp_of_image(x), np.exp(x), rtol=6e-4)
    np.testing.assert_allclose(log_of_image(np.exp(x)), x, atol=6e-4)


def test_outside_the_tables_the_nearest_entry_is_chosen():
    assert exp_of_image(np.float32([-50, 50])) == pytest.approx(np.exp([-12, 12]), rel=1e-3)
    assert np.isfinite(log_of_image(np.float32([1e-30, 1e30]))).all()
