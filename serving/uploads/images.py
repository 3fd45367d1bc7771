"""From images whose names state time and channel to one checked sample."""

from dataclasses import replace

from flare.files import digest_of_images
from flare.forecast_facts import SampleFacts, Window, region_of_paths, window_after_input
from flare.images.grey_scale import LEVEL
from flare.images.planes import UNIFORM, is_ignored_channel, parse_name, sample_of_files, start_of
from flare.sample import N_PLANES
from serving.http.problems import Refused
from serving.uploads.archive import ZIP_MAGIC, Archive
from serving.uploads.arrays import NPY_TYPES, ZIP_TYPES, Samples, array_of_parts
from serving.uploads.upload import FORM, Part, Upload, compressed, stated_facts

GZIP_MAGIC, NPY_MAGIC = b"\x1f\x8b", b"\x93NUMPY"

#: Why an image counts as missing instead of being refused: real datasets have such gaps.
GAPS = ("flagged", UNIFORM)

_NAME_HINT = "name images as SDOBenchmark does: 2012-01-15T000000__131.jpg"


def sample_of_any(upload: Upload) -> Samples:
    """Read one sample as an array, or as images where a form has other fields or a zip is sent."""
    parts = upload.parts(*NPY_TYPES, *ZIP_TYPES)
    images = upload.body[:2] == ZIP_MAGIC
    if upload.media_type == FORM:
        images = all(part.name not in ("file", "scale") for part in parts)
    return _images_of_parts(upload, parts) if images else array_of_parts(upload, parts)


def sample_of_images(upload: Upload) -> Samples:
    """Read one sample from its images: a form with a file each or one zip, or a zip as the body.

    Images belong to time steps by their names; the input window is the one that fits most of them,
    and the forecast is for the hours after it. Folders of a zip may name the active region.
    An image that would be a gap in SDOBenchmark itself (all of one value, flagged by the instrument
    team) is missing; any other that cannot be used is refused.

    Raises Refused: 400, 413 or 415 for a form, zip or type that cannot be read; 422 for names and
    images.
    """
    return _images_of_parts(upload, upload.parts(*ZIP_TYPES))


def _images_of_parts(upload: Upload, parts: list[Part]) -> Samples:
    if upload.media_type != FORM:
        _check_zip(upload.body)
    sent = [part for part in parts if part.filename or upload.media_type != FORM]
    zips = [part.data for part in sent if bytes(part.data[:2]) == ZIP_MAGIC]
    if zips and len(sent) > 1:
        detail = f"{len(sent)} files were sent, one of them a zip"
        raise Refused(422, "mixed", detail, hint="send one zip, or images")
    if zips:
        archive = Archive(zips[0], max_bytes=upload.max_bytes)
        files = {name: archive.read(name) for name in archive.names}
    else:
        files = {part.filename or "": bytes(part.data) for part in sent}
        if len(files) < len(sent):
            raise Refused(422, "bad_name", "two files have one name", hint=_NAME_HINT)
    (facts,) = stated_facts(upload.statements(parts), 1)
    paths = _paths_of_images(files, zipped=bool(zips))
    if facts.active_region is None:
        folders = [path.replace("\\", "/").rpartition("/")[0] for path in paths.values()]
        facts = replace(facts, active_region=region_of_paths(*folders))
    return _decoded({name: files[path] for name, path in paths.items()}, facts)


def _check_zip(body: bytes) -> None:
    if body.startswith(GZIP_MAGIC):
        raise compressed("the file is compressed with gzip")
    if body.startswith(NPY_MAGIC):
        detail, hint = "the body is a .npy array, not images", "send it to POST /predict_npy"
        raise Refused(415, "npy", detail, hint=hint)
    if not body.startswith(ZIP_MAGIC):
        hint = "send images as a form: curl -F files=@IMAGE -F files=@IMAGE, or one zip"
        raise Refused(415, "not_zip", "the body is not a zip", hint=hint)


def _paths_of_images(files: dict[str, bytes], *, zipped: bool) -> dict[str, str]:
    """Return the paths of the images of a sample by their names without folders."""
    if files and all(path.endswith(".npy") for path in files):
        detail = "the files are .npy arrays, not images"
        hint = "send one to POST /predict_npy, or a .npz to POST /predict_batch"
        raise Refused(415, "npy", detail, hint=hint)
    paths: dict[str, str] = {}
    for path in files:
        name = path.replace("\\", "/").rpartition("/")[2]
        if parse_name(name) is None:
            # Copies of the dataset have images of 1600 Angstrom; zips have what a desktop adds.
            if zipped or is_ignored_channel(name):
                continue
            detail = f"the name {name[:80]!r} does not say which image it is"
            raise Refused(422, "bad_name", detail, hint=_NAME_HINT)
        if name in paths:
            detail = f"there are two images of the name {name}"
            raise Refused(422, "bad_name", detail, hint="send one sample's images")
        paths[name] = path
    if not paths:
        detail = "there is no image of a sample among the files"
        raise Refused(422, "no_images", detail, hint=_NAME_HINT)
    if len(paths) > N_PLANES:
        detail = f"{len(paths)} images; a sample has at most {N_PLANES}"
        raise Refused(422, "too_many_files", detail, hint="send one sample's images")
    return paths


def _decoded(images: dict[str, bytes], facts: SampleFacts) -> Samples:
    start = start_of(images)
    assert start is not None  # every name was parsed
    sample = sample_of_files(images, start)
    bad = [f"{name}: {reason}" for name, reason in sample.rejected if reason not in GAPS]
    if bad:
        detail = "; ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
        hint = "send grey JPEG or PNG images of 256 x 256 pixels, of four times within 12 hours"
        raise Refused(422, "bad_image", detail, hint=hint)
    if not sample.present.any():
        detail = "no image can be used: all are flagged or of one value"
        raise Refused(422, "all_missing", detail, hint="send at least one other image")
    stated = _with_times_of_names(facts.stated, window_after_input(start))
    known = replace(facts, stated=stated, input_digest=digest_of_images(images))
    cubes, present = sample.cube[None], sample.present[None]
    return Samples(cubes, present, ("0",), (LEVEL,), (known,), sample.rejected)


def _with_times_of_names(stated: Window, window: Window) -> Window:
    issue_time, begin, end = stated
    if begin not in (None, window.valid_from):
        detail = "the stated valid_from is not the time that the names of the images give"
        raise Refused(422, "wrong_time", detail, hint="leave it out")
    return Window(issue_time or window.issue_time, window.valid_from, end)
