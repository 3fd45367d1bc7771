"""Hundreds of malformed uploads to one real server: each is refused with what to do about it."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from known_models import climatology_of
from malformed import (
    BATCH,
    FORM,
    NPY,
    RAW,
    Upload,
    as_body,
    form,
    in_form,
    wrong_forms,
    wrong_npy,
)
from malformed_archives import GOOD_IMAGE, wrong_images, wrong_zip, zipped
from real_server import Server, serving

from flare.forecasters.storage import save

ZIP = "application/zip"
EXAMPLES = 250  # for each endpoint
#: What the process may grow by: the allocator may keep some of the largest bodies, of 5 MB, for
#: each of its threads. It was 3 MiB when this was written.
MOST_GROWTH = 64 * 2**20


class Target(NamedTuple):
    """A server that is being uploaded to, and what became of that so far."""

    server: Server
    client: httpx.Client
    marker: Path
    refused: set[int]


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("malformed")
    model = save(climatology_of(), folder / "climatology")
    with serving(folder / "state", model=model) as server, httpx.Client(timeout=60) as client:
        yield Target(server, client, folder / "made-by-a-pickle", set())


def send(target: Target, path: str, upload: Upload) -> httpx.Response:
    headers = {"Content-Type": upload.content_type} if upload.content_type else {}
    return target.client.post(target.server.address + path, content=upload.body, headers=headers)


def assert_refused(target: Target, path: str, upload: Upload) -> None:
    response = send(target, path, upload)
    shown = f"{path}: {upload!r}: {response.status_code} {response.text[:300]}"
    assert 400 <= response.status_code < 500, shown
    assert response.headers["content-type"] == "application/problem+json", shown
    problem = response.json()
    assert all(isinstance(problem[key], str) for key in ("error", "detail", "hint")), shown
    assert all(problem.values()), shown
    assert "Traceback" not in response.text, shown
    assert len(response.content) < 2000, shown
    target.refused.add(hash((path, upload.content_type, upload.body)))


def npy_uploads(marker: Path) -> st.SearchStrategy[Upload]:
    files = wrong_npy(str(marker))
    return st.one_of(
        as_body(files, "", RAW, "application/x-npy"),
        in_form("file", "sample.npy", files),
        st.just(Upload("another field", form(("wrong", "sample.npy", NPY)), FORM)),
        st.just(Upload("two files", form(*[("file", "a.npy", NPY)] * 2), FORM)),
        wrong_forms("file", "sample.npy", NPY),
    )


def batch_uploads(marker: Path) -> st.SearchStrategy[Upload]:
    files = wrong_npy(str(marker))
    archives = wrong_zip([("a.npy", NPY), ("b.npy", NPY)])
    spoilt = files.map(lambda d: (d[0], zipped(("a.npy", d[1]))))
    company = files.map(lambda d: (d[0], zipped(("a.npy", NPY), ("b.npy", d[1]))))
    return st.one_of(
        as_body(files, "", RAW),
        as_body(st.one_of(archives, spoilt, company), "", RAW, ZIP),
        in_form("file", "samples", st.one_of(files, archives, spoilt)),
        st.just(Upload("a sample and no batch", NPY)),
        wrong_forms("file", "samples.npy", BATCH),
    )


def images_uploads() -> st.SearchStrategy[Upload]:
    archives = wrong_zip([GOOD_IMAGE])
    images = wrong_images()
    packed = images.map(lambda d: (d[0], zipped(*d[1])))
    name, good = GOOD_IMAGE
    names = st.sampled_from(
        [
            "a.png",
            "2013-09-19T072600__9.png",
            "2013-99-19T072600__94.png",
            "0001-01-01T000000__94.png",
            "x",
        ]
    )
    return st.one_of(
        images.map(lambda d: Upload(d[0], form(*[("files", *one) for one in d[1]]), FORM)),
        as_body(st.one_of(packed, archives), "", RAW, ZIP),
        in_form("files", "sample.zip", st.one_of(packed, archives)),
        names.map(
            lambda bad: Upload(
                "a bad name", form(("files", name, good), ("files", bad, good)), FORM
            )
        ),
        st.sampled_from(
            [
                Upload("one name twice", form(*[("files", name, good)] * 2), FORM),
                Upload("zip and image", form(("files", name, good), ("files", "z", b"PK")), FORM),
                Upload("a zip in a zip", zipped(("a.zip", zipped(GOOD_IMAGE))), ZIP),
                Upload("an image as the body", good, "image/png"),
            ]
        ),
        wrong_forms("files", name, good),
    )


@pytest.mark.timeout(300)
# Hypothesis writes out how it came to an upload, with its bytes, whether it fails or not.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_malformed_uploads_are_refused_and_the_server_is_as_good_as_before(target):
    good = {
        "/predict_npy": Upload("good", NPY),
        "/predict_batch": Upload("good", BATCH),
        "/predict_images": Upload("good", form(("files", *GOOD_IMAGE)), FORM),
    }
    strategies = {
        "/predict_npy": npy_uploads(target.marker),
        "/predict_batch": batch_uploads(target.marker),
        "/predict_images": images_uploads(),
    }
    before = {path: send(target, path, upload).json() for path, upload in good.items()}
    process = psutil.Process(target.server.process.pid)

    def upload_to(path: str, examples: int) -> None:
        @settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategies[path])
        def each(upload: Upload) -> None:
            assert_refused(target, path, upload)

        each()

    for path in strategies:
        upload_to(path, 20)  # until its threads and buffers are there
    memory = process.memory_info().rss
    for path in strategies:
        upload_to(path, EXAMPLES)
    grown = process.memory_info().rss - memory

    assert len(target.refused) >= 500
    assert {path: send(target, path, upload).json() for path, upload in good.items()} == before
    assert grown < MOST_GROWTH, f"the server grew by {grown / 2**20:.0f} MiB"
    assert not target.marker.exists()
    assert "Traceback" not in target.server.log
