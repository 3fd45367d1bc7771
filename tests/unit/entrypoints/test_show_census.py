"""The census in a terminal: every count with the published one, every check with its example."""

import shutil
from pathlib import Path

import pytest

from entrypoints.show_dataset import show_census
from flare.datasets.sdobenchmark.census import Census, take_census
from flare.datasets.sdobenchmark.findings import CENSUS_CHECKS
from flare.datasets.sdobenchmark.fingerprint import short

from tiny import write_tiny_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four training samples and two test samples; one image of the latter is cut."""
    data = write_tiny_dataset(
        tmp_path_factory.mktemp("data") / "tiny", training_regions=2, test_regions=1
    )
    image = next(data.glob("test/*/*/*__171.jpg"))
    image.write_bytes(image.read_bytes()[:300])
    return data


@pytest.fixture(scope="module")
def census(dataset: Path) -> Census:
    return take_census(dataset, processes=1)


@pytest.fixture
def shown(census: Census, capsys: pytest.CaptureFixture[str]) -> str:
    show_census(census)
    return capsys.readouterr().out


def cells(shown: str, first: str) -> list[str]:
    (line,) = (line for line in shown.splitlines() if line.strip().startswith(f"{first} "))
    return line.strip().removeprefix(first).split()


def test_counts_are_next_to_the_published_ones(shown):
    assert cells(shown, "samples") == ["4", "8,336", "2", "886"]
    assert cells(shown, "below C") == ["0", "1,280", "0", "111"]
    assert cells(shown, "211, last image on disk") == ["3", "8,273", "1", "874"]
    # Missing images by step, with their share.
    assert cells(shown, "211") == ["0", "0", "0", "1", "6.2%", "0", "0", "0", "1", "12.5%"]


def test_every_check_is_a_line_and_a_case_has_an_example(shown, dataset):
    for what in CENSUS_CHECKS.values():
        wanted = ["0", "1"] if "cannot be decoded" in what else ["0", "0"]
        assert cells(shown, what) == wanted
    cut = next(path for path in dataset.glob("test/*/*/*") if path.stat().st_size == 300)
    assert f"    test: {cut.relative_to(dataset / 'test')}" in shown


def test_synthetic_data_are_called_so_in_at_most_a_hundred_columns(shown, census):
    assert shown.startswith("SYNTHETIC DATA 'tiny'")
    assert f"are no published counts; fingerprint {short(census.fingerprint)}" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_one_split_alone_is_shown_and_differs_from_the_published_set(dataset, tmp_path, capsys):
    shutil.copytree(dataset / "test", tmp_path / "test")
    show_census(take_census(tmp_path))
    shown = capsys.readouterr().out
    assert cells(shown, "samples") == ["2", "886"]
    assert "not the whole of SDOBenchmark: samples, regions or classes differ" in shown
