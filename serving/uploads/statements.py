"""What a request states of its pixels: their scale, the forecast's times, the active region.

Each by a parameter of the query or a field of the form.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from flare.errors import InputInvalid
from flare.forecast_facts import SampleFacts, Window, parse_region, parse_time
from flare.images.grey_scale import FRACTION, LEVEL, Scale
from serving.http.problems import UploadRejected
from serving.uploads.files import FORM, Part, check_not_empty, media_type, parts_of, wrong_type

TIMES = ("issue_time", "valid_from", "valid_to")
REGION = "active_region"
FACTS = (*TIMES, REGION)

#: Texts by name, in the order in which they came.
Statements = Mapping[str, Sequence[str]]
NOTHING: Statements = {}


def file_and_fields(
    body: bytes, content_type: str, types: tuple[str, ...]
) -> tuple[memoryview, dict[str, list[str]]]:
    """Return the uploaded file, and the other fields of the form as texts by name."""
    check_not_empty(body)
    kind = media_type(content_type)
    if kind == FORM:
        parts = parts_of(body, content_type)
        files = [part for part in parts if part.name == "file"]
        if len(files) != 1:
            detail = f"the form has {len(files) or 'no'} fields named `file`"
            raise UploadRejected(422, "no_file", detail, hint="send one: curl -F file=@sample.npy")
        return files[0].data, fields_of(parts)
    if kind not in types:
        raise wrong_type(kind, FORM, *types[1:])
    return memoryview(body), {}


def fields_of(parts: Iterable[Part]) -> dict[str, list[str]]:
    """Return what a form states in addition to its file."""
    fields: dict[str, list[str]] = {}
    for part in parts:
        if part.name in ("scale", *FACTS):
            fields.setdefault(part.name, []).append(bytes(part.data[:80]).decode("latin-1"))
    return fields


def joined(query: Statements, fields: Statements) -> Statements:
    """Return what the query and the fields of a form state."""
    return {name: [*query.get(name, ()), *fields.get(name, ())] for name in FACTS}


def stated_scale(fields: Sequence[str], query: Scale | None) -> Scale | None:
    """Return the scale that the query or fields of the form state, if any.

    Raises UploadRejected: it is another word, or two scales are stated.
    """
    stated = {field.strip() for field in fields} - {""}
    stated |= {query} if query else set()
    for scale in (FRACTION, LEVEL):
        if stated == {scale}:
            return scale
    if not stated:
        return None
    detail = f"the scale is stated as {' and '.join(map(repr, sorted(stated)))}"
    raise UploadRejected(422, "wrong_scale", detail, hint="state one: fraction or level")


def stated_facts(stated: Statements, n: int) -> list[SampleFacts]:
    """Return what is stated of N samples: each name once for all of them, or once for each.

    Raises UploadRejected: a time is none or has no zone, a number is no NOAA number, or there are
    several values for one sample.
    """
    times = []
    for name in TIMES:
        with refused("wrong_time"):
            texts = _for_each(stated, name, n)
            times.append([None if one is None else parse_time(one, name) for one in texts])
    with refused("wrong_region"):
        texts = _for_each(stated, REGION, n)
        regions = [None if one is None else parse_region(one) for one in texts]
    return [
        SampleFacts("", Window(*three), region)
        for three, region in zip(zip(*times, strict=True), regions, strict=True)
    ]


def with_names(stated: SampleFacts, window: Window) -> SampleFacts:
    """Add the times that the names of images give.

    Raises UploadRejected: another beginning of the window is stated.
    """
    issue_time, begin, end = stated.stated
    if begin not in (None, window.valid_from):
        detail = "the stated valid_from is not the time that the names of the images give"
        raise UploadRejected(422, "wrong_time", detail, hint="leave it out")
    merged = Window(issue_time or window.issue_time, window.valid_from, end)
    return replace(stated, stated=merged)


@contextmanager
def refused(code: str) -> Iterator[None]:
    """Turn an invalid statement into a refusal with a code."""
    try:
        yield
    except InputInvalid as error:
        detail, _, hint = str(error).rpartition("; ")
        raise UploadRejected(422, code, detail, hint=hint) from error


def _for_each(stated: Statements, name: str, n: int) -> list[str | None]:
    texts = [text.strip() for text in stated.get(name, ()) if text.strip()]
    if not texts:
        return [None] * n
    if len(set(texts)) == 1:
        return [texts[0]] * n
    if len(texts) != n:
        raise InputInvalid(
            f"{name} is stated {len(texts)} times for {n} sample{'s' if n > 1 else ''}; state it "
            "once, or once for each sample"
        )
    return list(texts)
