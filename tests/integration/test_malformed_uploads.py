"""Two hundred malformed uploads to one real server: each is refused with what to do about it.

What is refused with which words has tests of its own in ``tests/unit/serving``.
"""

import httpx
import psutil
import pytest
from good_uploads import FORM, GOOD, RAW
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

#: What the process may grow by: the allocator may keep some of the largest bodies, of 5 MB, for
#: each of its threads. It was 3 MiB when this was written.
MOST_GROWTH = 64 * 2**20


def damaged(body: bytes) -> st.SearchStrategy[tuple[bool, bytes]]:
    """Draw bodies that are cut, or have another byte near their begin or end, or bytes after it.

    Whether they are refused for certain comes first: a byte may be a pixel or a date.
    """
    n = len(body)
    places = st.one_of(st.integers(0, min(300, n - 1)), st.integers(max(0, n - 300), n - 1))
    flips = st.tuples(places, st.integers(1, 255)).map(
        lambda d: (False, body[: d[0]] + bytes([body[d[0]] ^ d[1]]) + body[d[0] + 1 :])
    )
    cuts = st.integers(0, n - 3).map(lambda end: (True, body[:end]))  # a form may end without CRLF
    others = st.binary(max_size=300).map(lambda data: (True, data))
    return st.one_of(flips, cuts, others, st.binary(min_size=1).map(lambda d: (False, body + d)))


def send(server, path: str, body: bytes, content_type: str) -> httpx.Response:
    headers = {"Content-Type": content_type} if content_type else {}
    return httpx.post(server.address + path, content=body, headers=headers, timeout=60)


def answers(server) -> list[object]:
    return [_forecast(send(server, *upload).json()) for upload in GOOD.values()]


def _forecast(answer: object) -> object:
    """Leave out which forecast it is: that is another one each time."""
    if isinstance(answer, list):
        return [_forecast(one) for one in answer]
    if not isinstance(answer, dict):
        return answer
    of_time = {"forecast_id", "issue_time", "valid_from", "valid_to"}
    return {name: _forecast(one) for name, one in answer.items() if name not in of_time}


@pytest.mark.timeout(300)
# Hypothesis writes out how it came to an upload, with its bytes, whether it fails or not.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_malformed_uploads_are_refused_and_the_server_is_as_good_as_before(climatology_server):
    refused = []

    def upload(what: str, examples: int) -> None:
        path, good, kind = GOOD[what]
        kinds = st.sampled_from([kind, kind, kind, "", RAW, FORM, f"{FORM}x", "text/plain"])

        @settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(damaged(good), kinds)
        def each(damage: tuple[bool, bytes], content_type: str) -> None:
            certain, body = damage
            response = send(climatology_server, path, body, content_type)
            shown = f"{what}, {content_type}: {body[:60]!r}...: {response.text[:300]}"
            assert 400 <= response.status_code < 500 or (response.is_success and not certain), shown
            if response.is_success:
                return
            assert response.headers["content-type"] == "application/problem+json", shown
            problem = response.json()
            assert all(problem[key] for key in ("error", "detail", "hint")), shown
            assert "Traceback" not in response.text, shown
            assert len(response.content) < 2000, shown
            refused.append(what)

        each()

    before = answers(climatology_server)
    for what in GOOD:
        upload(what, 5)  # until its threads and buffers are there
    process = psutil.Process(climatology_server.process.pid)
    memory = process.memory_info().rss
    for what in GOOD:
        upload(what, 30)
    assert process.memory_info().rss - memory < MOST_GROWTH
    assert len(refused) >= 150
    assert answers(climatology_server) == before
    assert "Traceback" not in climatology_server.log
