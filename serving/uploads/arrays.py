"""From arrays to checked samples: one in a .npy file, many in a .npy or .npz file."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice, repeat
from typing import NamedTuple, TypeVar

import numpy as np

from flare.errors import NpyRejected
from flare.files import digest
from flare.forecast_facts import SampleFacts
from flare.images.grey_scale import SCALE_HINT, Scale
from flare.images.npy import (
    MAX_HEADER_BYTES,
    PLANES_SHAPE,
    NpySamples,
    cube_of_npy,
    cubes_of_npy,
    header_of_batch,
    shape_of_npy,
)
from flare.sample import CUBE_SHAPE, Cube, Present, present_of_cube
from serving.http.problems import Refused
from serving.uploads.archive import ZIP_MAGIC, Archive
from serving.uploads.upload import BYTES, Part, Upload, stated_facts, stated_scale

Result = TypeVar("Result")

#: Each sample of a batch with its id.
Named = Iterable[tuple[str, NpySamples]]

NPY_TYPES = (BYTES, "application/x-npy", "application/npy")
ZIP_TYPES = ("application/zip", "application/x-zip-compressed")

#: A body that is not a .npy file has the wrong media type, a damaged file is a bad request, and an
#: array that is not a sample cannot be processed (422).
STATUS = {"empty": 400, "npz": 415, "not_npy": 415, "bad_header": 400, "wrong_length": 400}

#: How much larger than the largest body an archive may be unpacked: `savez_compressed` halves a
#: sample.
UNPACKED_RATIO = 4

#: Samples of a batch that are read and forecast in one turn of a core.
PIECE = 2


class Samples(NamedTuple):
    """N samples.

    ``cubes`` is uint8 (N, T, C, S, S), ``present`` bool (N, T, C). ``scales`` is the scale on which
    the numbers of each sample were, ``facts`` what else is known of each sample, ``left_out`` the
    name and reason of images that count as missing.
    """

    cubes: Cube
    present: Present
    ids: tuple[str, ...]
    scales: tuple[Scale, ...]
    facts: tuple[SampleFacts, ...]
    left_out: tuple[tuple[str, str], ...] = ()


class BatchUpload(NamedTuple):
    """N samples that are still to be read, in pieces of up to `PIECE`."""

    n_samples: int
    pieces: Iterator[Samples]


def sample_of_npy(upload: Upload) -> Samples:
    """Read one sample: a form whose field ``file`` is a .npy file, or that file as the body.

    Raises
    ------
    Refused
        415 for a body that is not a .npy file; 400 for one that is empty, damaged, or shorter or
        longer than its header states; 422 for another type, shape, range or scale, for NaN, and
        where all images are missing.
    """
    return array_of_parts(upload, upload.parts(*NPY_TYPES))


def array_of_parts(upload: Upload, parts: list[Part]) -> Samples:
    """Read one sample from the parts of an upload, as `sample_of_npy` does."""
    data, stated = _file(parts), upload.statements(parts)
    scale = stated_scale(stated["scale"])
    (facts,) = stated_facts(stated, 1)
    cube, used = _checked(lambda: cube_of_npy(data, scale=scale, fortran=False))
    facts = replace(facts, input_digest=digest(data))
    return Samples(cube[None], present_of_cube(cube[None]), ("0",), (used,), (facts,))


def open_batch(upload: Upload, *, most: int) -> BatchUpload:
    """Open up to ``most`` samples: a .npy file of all, or a .npz with an array of all or of each.

    A .npz is unpacked while its pieces are read, so that no more than a piece is in memory.

    Raises Refused: as for one sample, here or while the pieces are read; the detail names the
    sample.
    """
    parts = upload.parts(*NPY_TYPES, *ZIP_TYPES)
    data, stated = _file(parts), upload.statements(parts)
    scale = stated_scale(stated["scale"])
    if bytes(data[:2]) == ZIP_MAGIC:
        archive = Archive(data, max_bytes=upload.max_bytes * UNPACKED_RATIO)
        n, named = _open_archive(archive, most, scale)
    else:
        cubes, used = _checked(lambda: cubes_of_npy(data, most=most, scale=scale, fortran=False))
        n, named = len(cubes), _numbered(NpySamples(cube, used) for cube in cubes)
    return BatchUpload(n, _in_pieces(named, stated_facts(stated, n)))


def _file(parts: list[Part]) -> memoryview:
    files = [part for part in parts if part.name == "file"]
    if len(files) != 1:
        detail = f"the form has {len(files) or 'no'} fields named `file`"
        raise Refused(422, "no_file", detail, hint="send one: curl -F file=@sample.npy")
    return files[0].data


def _open_archive(archive: Archive, most: int, scale: Scale | None) -> tuple[int, Named]:
    names = archive.names
    if len(names) == 1:
        head = next(archive.pieces(names[0], [MAX_HEADER_BYTES]))
        shape = _checked(lambda: shape_of_npy(head), f"{names[0][:80]}: ")
        if shape not in (PLANES_SHAPE, CUBE_SHAPE):
            return _open_array(archive, head, most, scale)
    if not 1 <= len(names) <= most:
        detail = f"the .npz holds {len(names)} arrays; 1 to {most} samples can be sent at once"
        hint = "send fewer at once" if names else "add a sample with numpy.savez"
        raise Refused(422, "wrong_shape", detail, hint=hint)
    ids = [name.removesuffix(".npy") for name in names]
    if len(set(ids)) < len(ids) or "" in ids:
        detail = "two arrays of the .npz have one name, or one has none"
        raise Refused(422, "bad_name", detail, hint="name each sample once")
    samples = (_sample(archive.read(name), scale, f"{name[:80]}: ") for name in names)
    return len(ids), zip(ids, samples, strict=True)


def _open_array(archive: Archive, head: bytes, most: int, scale: Scale | None) -> tuple[int, Named]:
    """Open the samples of the one array of a .npz, which are all on one scale."""
    (name,) = archive.names
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
                raise Refused(422, "ambiguous_scale", detail, hint=SCALE_HINT)
            used = sample.scale
            yield sample

    return header.samples, _numbered(samples())


def _sample(data: bytes, scale: Scale | None, which: str) -> NpySamples:
    return _checked(lambda: cube_of_npy(data, scale=scale, fortran=False), which)


def _numbered(samples: Iterable[NpySamples]) -> Named:
    return ((str(number), sample) for number, sample in enumerate(samples))


def _in_pieces(named: Named, facts: list[SampleFacts]) -> Iterator[Samples]:
    """Yield named cubes (T, C, S, S) in pieces of `PIECE`, identified by their grey levels."""
    samples = zip(named, facts, strict=True)
    while piece := list(islice(samples, PIECE)):
        cubes = np.stack([sample.cubes for (_, sample), _ in piece])
        known = tuple(
            replace(one, input_digest=digest(memoryview(cube).cast("B")))
            for cube, (_, one) in zip(cubes, piece, strict=True)
        )
        ids = tuple(name for (name, _), _ in piece)
        scales = tuple(sample.scale for (_, sample), _ in piece)
        yield Samples(cubes, present_of_cube(cubes), ids, scales, known)


def _checked(read: Callable[[], Result], which: str = "") -> Result:
    try:
        return read()
    except NpyRejected as error:
        hint = f"{error.hint}; GET /sample.npy is an example"
        if error.code == "npz":
            hint = "send it to POST /predict_batch, or one array that numpy.save wrote"
        status = STATUS.get(error.code, 422)
        raise Refused(status, error.code, which + error.detail, hint=hint) from error
