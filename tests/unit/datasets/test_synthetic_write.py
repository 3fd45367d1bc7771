import json
import os
import shutil
from collections import Counter
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from flare.datasets.synthetic import SyntheticSummary, synthesize, write
from flare.datasets.synthetic.region import make_region
from flare.datasets.synthetic.render import Images
from flare.datasets.synthetic.write import write_example
from flare.errors import ConfigInvalid, DatasetInvalid, DiskTooSmall
from flare.images.planes import ImageRejected, decode_plane, parse_name
from flare.sample import CHANNELS, CUBE_SHAPE, STEP_OFFSETS_MINUTES

SHIPPED = Path(__file__).parents[3] / "data" / "example"


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> SyntheticSummary:
    dest = tmp_path_factory.mktemp("synthetic") / "set"
    return synthesize(dest, n_training=8, n_test=2, seed=5, processes=1)


@pytest.fixture(scope="module")
def labels(written) -> pd.DataFrame:
    return pd.read_csv(written.path / "training" / "meta_data.csv", parse_dates=["start", "end"])


def failing_region(folder: Path, seed: int, region: object) -> None:
    raise ArithmeticError(f"planted in process {os.getpid()}")


def test_a_larger_set_from_two_processes_begins_with_the_same_bytes(written, tmp_path):
    synthesize(tmp_path / "more", n_training=9, n_test=4, seed=5, processes=2)
    small, large = files_of(written.path), files_of(tmp_path / "more")
    images = [name for name in small if name.endswith(".jpg")]
    assert len(images) > 300
    assert all(small[name] == large[name] for name in images)


def test_the_tables_and_images_have_the_layout_of_sdobenchmark(written, labels):
    lines = (written.path / "test" / "meta_data.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("id,start,end,peak_flux", 3)
    assert all(time.endswith(":00.000000000") for time in lines[1].split(",")[1:3])
    assert set(labels["end"] - labels["start"]) == {timedelta(hours=12)}
    for row in labels.itertuples():
        region, _, rest = row.id.partition("_")
        names = [path.name for path in (written.path / "training" / region / rest).iterdir()]
        offsets = {
            round((parse_name(name)[0] - row.start) / timedelta(minutes=1)) for name in names
        }
        assert offsets <= set(STEP_OFFSETS_MINUTES)
        assert {parse_name(name)[1] for name in names} <= set(CHANNELS)
        assert len(names) > 20
    for path in written.path.rglob("*continuum.jpg"):  # never flagged
        assert decode_plane(path.read_bytes()).shape == (256, 256)


def test_a_sample_is_as_large_on_disk_as_was_reserved_for_it(written):
    size = sum(len(data) for data in files_of(written.path).values()) / 10
    assert 0.5 * write.BYTES_PER_SAMPLE < size <= write.BYTES_PER_SAMPLE


def test_the_dataset_says_that_it_is_synthetic_and_the_summary_counts_it(written, labels):
    description = json.loads((written.path / "dataset.json").read_text())
    assert description["synthetic"] is True
    assert (description["seed"], description["n_training"], description["n_test"]) == (5, 8, 2)
    regions = Counter(labels["id"].str.partition("_")[0])
    assert (written.training.samples, written.training.regions) == (8, len(regions))
    assert written.training.classes["quiet"] == (labels["peak_flux"] == 1e-9).sum()
    assert sum(written.training.classes.values()) == 8


def test_the_oracle_knows_every_sample(written, labels):
    oracle = pd.read_csv(written.path / "oracle" / "oracle.csv")
    assert list(oracle["id"][:8]) == list(labels["id"])
    assert list(oracle.columns[1:4]) == ["lambda_C", "lambda_M", "lambda_X"]
    assert (oracle["log10_flux_q05"] <= oracle["log10_flux_q95"]).all()
    assert oracle[["p_B1.0", "p_C1.0", "p_M1.0", "p_X1.0"]].to_numpy().max() < 1


def test_a_flagged_image_is_refused_by_the_reader(tmp_path):
    everything = np.ones(CUBE_SHAPE[:2], dtype=bool)
    images = Images(np.full(CUBE_SHAPE, 90, dtype=np.uint8), everything, everything)
    write.write_sample(tmp_path, make_region("test", 0, seed=0).windows[0], images)
    paths = list(tmp_path.iterdir())
    assert len(paths) == 40
    with pytest.raises(ImageRejected, match="flagged"):
        decode_plane(paths[0].read_bytes())


def test_an_existing_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(DatasetInvalid, match="already exists; delete it"):
        synthesize(tmp_path / "mine", n_training=1, n_test=1)
    assert (tmp_path / "mine").read_text() == "kept"


def test_too_small_a_disk_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=800_000))
    with pytest.raises(DiskTooSmall, match=r"set takes 900\.00 kB .*; make room, ask for fewer"):
        synthesize(tmp_path / "set", n_training=1, n_test=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"n_test": 0}, {"difficulty": "x"}, {"test": "best"}])
def test_impossible_settings_are_refused(tmp_path, wrong):
    with pytest.raises(ConfigInvalid):
        synthesize(tmp_path / "set", **{"n_training": 1, "n_test": 1} | wrong)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_nothing(tmp_path):
    def press_ctrl_c(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "set", n_training=2, n_test=1, processes=1, progress=press_ctrl_c)
    assert list(tmp_path.iterdir()) == []


def test_the_error_of_a_worker_surfaces_and_leaves_no_dataset(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "write_region", failing_region)
    with pytest.raises(ArithmeticError, match="planted in process") as caught:
        synthesize(tmp_path / "set", n_training=1, n_test=1, processes=2)
    assert str(os.getpid()) not in str(caught.value)
    assert not (tmp_path / "set").exists()


def test_progress_is_reported_in_regions(tmp_path):
    seen = []
    summary = synthesize(
        tmp_path / "s", n_training=1, n_test=1, processes=1, progress=lambda *n: seen.append(n)
    )
    assert summary.training.regions + summary.test.regions == 2
    assert seen == [(1, 2), (2, 2)]


def test_the_shipped_example_is_the_one_that_the_code_makes(tmp_path):
    made = write_example(tmp_path)
    shipped = SHIPPED / made.name
    names = sorted(path.name for path in made.iterdir())
    assert names == sorted(path.name for path in shipped.iterdir())
    assert len(names) in (38, 39)
    assert sum(path.stat().st_size for path in shipped.iterdir()) < 500_000
    for path in made.glob("*magnetogram.jpg"):
        a, b = (decode_plane((folder / path.name).read_bytes()) for folder in (made, shipped))
        # Not to the byte: another processor may round the last bit of an exponential otherwise.
        assert np.abs(a.astype(int) - b).mean() < 1
