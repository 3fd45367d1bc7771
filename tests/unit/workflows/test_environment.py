"""A damaged package in the environment does not stop a run."""

from flare.workflows.fitting.environment import environment

DAMAGED = {
    "empty": None,
    "nameless": b"Version: 1.0\n",
    "without_version": b"Metadata-Version: 2.1\nName: without_version\n",
    "binary": bytes(range(256)),
    "cut": b"Metadata-Ver",
}


def package(folder, name, content):
    """Write the metadata of a package; None: none of it."""
    place = folder / f"{name}-1.0.dist-info"
    place.mkdir()
    if content is not None:
        (place / "METADATA").write_bytes(content)


def test_packages_are_named_with_their_version_and_damaged_ones_counted(tmp_path, monkeypatch):
    before = environment()
    for name, content in DAMAGED.items():
        package(tmp_path, name, content)
    package(tmp_path, "one", b"Metadata-Version: 2.1\nName: one\nVersion: 1.5\n")
    monkeypatch.syspath_prepend(tmp_path)
    described = environment()
    assert described["unreadable_packages"] == before["unreadable_packages"] + len(DAMAGED)
    assert described["packages"] == before["packages"] | {"one": "1.5"}
