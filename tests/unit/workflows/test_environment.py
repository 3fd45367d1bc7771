"""A damaged package in the environment does not stop a run."""

import pytest

from flare.workflows.fitting.environment import environment

DAMAGED = {
    "empty": None,
    "nameless": b"Version: 1.0\n",
    "without_version": b"Metadata-Version: 2.1\nName: without_version\n",
    "binary": bytes(range(256)),
    "cut": b"Metadata-Ver",
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_metadata_of_a_package_is_counted_and_left_out(kind, tmp_path, monkeypatch):
    before = environment()
    folder = tmp_path / f"{kind}-1.0.dist-info"
    folder.mkdir()
    if DAMAGED[kind] is not None:
        (folder / "METADATA").write_bytes(DAMAGED[kind])
    monkeypatch.syspath_prepend(tmp_path)
    described = environment()
    assert described["unreadable_packages"] == before["unreadable_packages"] + 1
    assert described["packages"] == before["packages"]


def test_packages_are_named_with_their_version(tmp_path, monkeypatch):
    folder = tmp_path / "one-1.5.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: one\nVersion: 1.5\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert environment()["packages"]["one"] == "1.5"
