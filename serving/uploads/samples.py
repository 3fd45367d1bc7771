"""From the body of a request to checked samples; each refusal has the HTTP status that fits it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice, repeat
from typing import NamedTuple, TypeVar

import numpy as np

from flare.errors import NpyRejected
from flare.files import digest, digest_of_images
from flare.forecast_facts import SampleFacts, region_of_paths, window_after_input
from flare.images.grey_scale import LEVEL, SCALE_HINT, Scale
from flare.images.npy import (
    MAX_HEADER_BYTES,
    PLANES_SHAPE,
    NpySamples,
    cube_of_npy,
    cubes_of_npy,
    header_of_batch,
    shape_of_npy,
)
from flare.images.planes import UNIFORM, is_ignored_channel, parse_name, sample_of_files, start_of
from flare.sample import CUBE_SHAPE, N_PLANES, Cube, Present, present_of_cube
from serving.http.problems import UploadRejected
from serving.uploads.files import (
    BYTES,
    FORM,
    GZIP_MAGIC,
    NPY_MAGIC,
    NPY_TYPES,
    ZIP_MAGIC,
    ZIP_TYPES,
    Archive,
    check_not_empty,
    compressed,
    media_type,
    parts_of,
    wrong_type,
)
from serving.uploads.statements import (
    NOTHING,
    Statements,
    fields_of,
    file_and_fields,
    joined,
    stated_facts,
    stated_scale,
    with_names,
)

Result = TypeVar("Result")

#: A number of samples, and each with its id.
Named = tuple[int, Iterable[tuple[str, NpySamples]]]


#: A body that is not a .npy file has the wrong media type, a damaged file is a bad request, and an
#: array that is not a sample cannot be processed (422).
STATUS = {"empty": 400, "npz": 415, "not_npy": 415, "bad_header": 400, "wrong_length": 400}

#: How much larger than the largest body an archive may be unpacked: `savez_compressed` halves a
#: sample.
UNPACKED_RATIO = 4

#: Samples of a batch that are read and forecast in one turn of a core.
PIECE = 2

#: Why an image counts as missing instead of being refused: real datasets have such gaps.
GAPS = ("flagged", UNIFORM)

_NAME_HINT = "name images as SDOBenchmark does: 2012-01-15T000000__131.jpg"


class Samples(NamedTuple):
    """N samples.

    ``cubes`` is uint8 (N, T, C, S, S), ``present`` bool (N, T, C). ``scales`` is the scale on which
    the numbers of each sample were, ``left_out`` the name and reason of images that count as
    missing, ``facts`` what else is known of each sample.
    """

    cubes: Cube
    present: Present
    ids: tuple[str, ...]
    scales: tuple[Scale, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    facts: tuple[SampleFacts, ...] = ()


class BatchUpload(NamedTuple):
    """N samples that are still to be read, in pieces of up to `PIECE`."""

    n_samples: int
    pieces: Iterator[Samples]


def sample_of_npy(
    body: bytes, content_type: str, *, scale: Scale | None = None, stated: Statements = NOTHING
) -> Samples:
    """Read one sample: a form whose field ``file`` is a .npy file, or that file as the body.

    ``scale`` and ``stated`` are what the query states; a form may have fields instead.

    Raises
    ------
    UploadRejected
        415 for a body that is not a .npy file; 400 for one that is empty, damaged, or shorter or
        longer than its header states; 422 for another type, shape, range or scale, for NaN, and
        where all images are missing.
    """
    data, fields = file_and_fields(body, content_type, NPY_TYPES)
    scale = stated_scale(fields.get("scale", ()), scale)
    (facts,) = stated_facts(joined(stated, fields), 1)
    cube, used = _checked(lambda: cube_of_npy(data, scale=scale, fortran=False))
    facts = replace(facts, input_digest=digest(data))
    return Samples(cube[None], present_of_cube(cube[None]), ("0",), (used,), (), (facts,))


def open_batch(
    body: bytes,
    content_type: str,
    *,
    most: int,
    max_bytes: int,
    scale: Scale | None = None,
    stated: Statements = NOTHING,
) -> BatchUpload:
    """Open N samples: a .npy file of all, or a .npz with an array of all or of each.

    A .npz is unpacked while its pieces are read, so that no more than a piece is in memory.

    Raises UploadRejected: as for one sample, here or while the pieces are read; the detail names
    the sample.
    """
    data, fields = file_and_fields(body, content_type, (*NPY_TYPES, *ZIP_TYPES))
    scale = stated_scale(fields.get("scale", ()), scale)
    n, named = _opened(data, most, max_bytes, scale)
    return BatchUpload(n, _in_pieces(named, stated_facts(joined(stated, fields), n)))


def _opened(data: memoryview, most: int, max_bytes: int, scale: Scale | None) -> Named:
    """Return the number of samples of a batch, and the samples with their ids."""
    if bytes(data[:2]) != ZIP_MAGIC:
        cubes, used = _checked(lambda: cubes_of_npy(data, most=most, scale=scale, fortran=False))
        return len(cubes), _numbered(NpySamples(cube, used) for cube in cubes)
    archive = Archive(data, max_bytes=max_bytes * UNPACKED_RATIO)
    names = archive.names
    if len(names) == 1 and not _is_sample(archive, names[0]):
        return _open_array(archive, names[0], most, scale)
    if not 1 <= len(names) <= most:
        detail = f"the .npz holds {len(names)} arrays; 1 to {most} samples can be sent at once"
        hint = "send fewer at once" if names else "add a sample with numpy.savez"
        raise UploadRejected(422, "wrong_shape", detail, hint=hint)
    ids = [name.removesuffix(".npy") for name in names]
    if len(set(ids)) < len(ids) or "" in ids:
        detail = "two arrays of the .npz have one name, or one has none"
        raise UploadRejected(422, "bad_name", detail, hint="name each sample once")
    samples = (_sample(archive.read(name), scale, f"{name[:80]}: ") for name in names)
    return len(ids), zip(ids, samples, strict=True)


def _is_sample(archive: Archive, name: str) -> bool:
    head = next(archive.pieces(name, [MAX_HEADER_BYTES]))
    return _checked(lambda: shape_of_npy(head), f"{name[:80]}: ") in (PLANES_SHAPE, CUBE_SHAPE)


def _open_array(archive: Archive, name: str, most: int, scale: Scale | None) -> Named:
    """Open the samples of the one array of a .npz, which are all on one scale."""
    head = next(archive.pieces(name, [MAX_HEADER_BYTES]))
    header = _checked(lambda: header_of_batch(head, size=archive.size(name), most=most))
    sizes = chain([header.offset], repeat(header.sample_bytes, header.samples))
    data = archive.pieces(name, sizes)

    def samples() -> Iterator[NpySamples]:
        next(data)  # the header
        used = None
        for number, one in enumerate(data):
            sample = _sample(header.sample_header + one, scale, f"sample {number}: ")
            if used not in (None, sample.scale):
                detail = f"sample {number} looks like {sample.scale}, those before like {used}"
                raise UploadRejected(422, "ambiguous_scale", detail, hint=SCALE_HINT)
            used = sample.scale
            yield sample

    return header.samples, _numbered(samples())


def _sample(data: bytes, scale: Scale | None, which: str) -> NpySamples:
    return _checked(lambda: cube_of_npy(data, scale=scale, fortran=False), which)


def _numbered(samples: Iterable[NpySamples]) -> Iterator[tuple[str, NpySamples]]:
    return ((str(number), sample) for number, sample in enumerate(samples))


def _in_pieces(
    named: Iterable[tuple[str, NpySamples]], facts: Iterable[SampleFacts]
) -> Iterator[Samples]:
    """Yield named cubes (T, C, S, S) in pieces of `PIECE`, identified by their grey levels."""
    samples = zip(named, facts, strict=True)
    while piece := list(islice(samples, PIECE)):
        cubes = np.stack([sample.cubes for (_, sample), _ in piece])
        ids = tuple(name for (name, _), _ in piece)
        scales = tuple(sample.scale for (_, sample), _ in piece)
        known = tuple(
            replace(one, input_digest=digest(memoryview(cube).cast("B")))
            for cube, (_, one) in zip(cubes, piece, strict=True)
        )
        yield Samples(cubes, present_of_cube(cubes), ids, scales, (), known)


def sample_of_any(
    body: bytes, content_type: str, *, max_bytes: int, scale: Scale | None = None
) -> Samples:
    """Read one sample as an array, or as images where a form has other fields or a zip is sent."""
    if media_type(content_type) == FORM:
        images = all(part.name not in ("file", "scale") for part in parts_of(body, content_type))
    else:
        images = body[:2] == ZIP_MAGIC
    if images:
        return sample_of_images(body, content_type, max_bytes=max_bytes)
    return sample_of_npy(body, content_type, scale=scale)


def sample_of_images(
    body: bytes, content_type: str, *, max_bytes: int, stated: Statements = NOTHING
) -> Samples:
    """Read one sample from its images: a form with a file each or one zip, or a zip as the body.

    Images belong to time steps by their names; the input window is the one that fits most of them,
    and the forecast is for the hours after it. Folders of a zip may name the active region.
    An image that would be a gap in SDOBenchmark itself (all of one value, flagged by the instrument
    team) is missing; any other that cannot be used is refused.

    Raises UploadRejected: 400, 413 or 415 for a form, zip or type that cannot be read; 422 for
    names and images.
    """
    check_not_empty(body)
    kind = media_type(content_type)
    fields: Statements = NOTHING
    if kind == FORM:
        parts = parts_of(body, content_type)
        fields = fields_of(part for part in parts if not part.filename)
        parts = [part for part in parts if part.filename]
        zips = [part.data for part in parts if bytes(part.data[:2]) == ZIP_MAGIC]
        if zips and len(parts) > 1:
            detail = f"{len(parts)} files were sent, one of them a zip"
            raise UploadRejected(422, "mixed", detail, hint="send one zip, or images")
        files = {part.filename or "": bytes(part.data) for part in parts} if not zips else {}
        if len(files) < len(parts) - len(zips):
            raise UploadRejected(422, "bad_name", "two files have one name", hint=_NAME_HINT)
    elif kind in ("", BYTES, *ZIP_TYPES):
        _check_zip(body)
        zips, files = [memoryview(body)], {}
    else:
        raise wrong_type(kind, FORM, *ZIP_TYPES)
    if zips:
        archive = Archive(zips[0], max_bytes=max_bytes)
        files = {name: archive.read(name) for name in archive.names}
    (facts,) = stated_facts(joined(stated, fields), 1)
    images = _images_by_name(files, zipped=bool(zips))
    if facts.active_region is None:
        facts = replace(facts, active_region=region_of_paths(*_folders(files)))
    return _decoded(images, facts)


def _folders(files: Iterable[str]) -> Iterator[str]:
    """Yield the folders of the images of a sample."""
    for path in files:
        folder, _, name = path.replace("\\", "/").rpartition("/")
        if parse_name(name) is not None:
            yield folder


def _check_zip(body: bytes) -> None:
    if body.startswith(GZIP_MAGIC):
        raise compressed("the file is compressed with gzip")
    if body.startswith(NPY_MAGIC):
        detail, hint = "the body is a .npy array, not images", "send it to POST /predict_npy"
        raise UploadRejected(415, "npy", detail, hint=hint)
    if not body.startswith(ZIP_MAGIC):
        hint = "send images as a form: curl -F files=@IMAGE -F files=@IMAGE, or one zip"
        raise UploadRejected(415, "not_zip", "the body is not a zip", hint=hint)


def _images_by_name(files: dict[str, bytes], *, zipped: bool) -> dict[str, bytes]:
    """Return the images of a sample by their names without folders."""
    if files and all(path.endswith(".npy") for path in files):
        detail = "the files are .npy arrays, not images"
        hint = "send one to POST /predict_npy, or a .npz to POST /predict_batch"
        raise UploadRejected(415, "npy", detail, hint=hint)
    images: dict[str, bytes] = {}
    for path, data in files.items():
        name = path.replace("\\", "/").rpartition("/")[2]
        if parse_name(name) is None:
            # Copies of the dataset have images of 1600 Angstrom; zips have what a desktop adds.
            if zipped or is_ignored_channel(name):
                continue
            detail = f"the name {name[:80]!r} does not say which image it is"
            raise UploadRejected(422, "bad_name", detail, hint=_NAME_HINT)
        if name in images:
            detail = f"there are two images of the name {name}"
            raise UploadRejected(422, "bad_name", detail, hint="send one sample's images")
        images[name] = data
    if not images:
        detail = "there is no image of a sample among the files"
        raise UploadRejected(422, "no_images", detail, hint=_NAME_HINT)
    if len(images) > N_PLANES:
        detail = f"{len(images)} images; a sample has at most {N_PLANES}"
        raise UploadRejected(422, "too_many_files", detail, hint="send one sample's images")
    return images


def _decoded(images: dict[str, bytes], facts: SampleFacts) -> Samples:
    start = start_of(images)
    assert start is not None  # every name was parsed
    sample = sample_of_files(images, start)
    bad = [f"{name}: {reason}" for name, reason in sample.rejected if reason not in GAPS]
    if bad:
        detail = "; ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
        hint = "send grey JPEG or PNG images of 256 x 256 pixels, of four times within 12 hours"
        raise UploadRejected(422, "bad_image", detail, hint=hint)
    if not sample.present.any():
        detail = "no image can be used: all are flagged or of one value"
        raise UploadRejected(422, "all_missing", detail, hint="send at least one other image")
    facts = with_names(facts, window_after_input(start))
    known = (replace(facts, input_digest=digest_of_images(images)),)
    cubes, present = sample.cube[None], sample.present[None]
    return Samples(cubes, present, ("0",), (LEVEL,), sample.rejected, known)


def _checked(read: Callable[[], Result], which: str = "") -> Result:
    try:
        return read()
    except NpyRejected as error:
        hint = f"{error.hint}; GET /sample.npy is an example"
        if error.code == "npz":
            hint = "send it to POST /predict_batch, or one array that numpy.save wrote"
        status = STATUS.get(error.code, 422)
        raise UploadRejected(status, error.code, which + error.detail, hint=hint) from error
