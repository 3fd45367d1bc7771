"""Uploads that are forecast, one for each endpoint and form."""

import io
import zipfile

import numpy as np
from PIL import Image

SAMPLE = np.full((40, 256, 256), 9, dtype=np.uint8)
SAMPLE[:, 0, 0] = 10  # images of a single value are missing
BOUNDARY = "malformed-7f3a"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
RAW, ZIP = "application/octet-stream", "application/zip"


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def form(field: str, name: str, data: bytes) -> bytes:
    head = f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return f"--{BOUNDARY}\r\n{head}".encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def zipped(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data, compresslevel=1)
    return file.getvalue()


def png() -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


NPY, BATCH = saved(SAMPLE), saved(SAMPLE[None])
IMAGE = "2013-09-19T072600__131.png", png()
#: Path, body and type.
GOOD = {
    "npy": ("/predict_npy", NPY, RAW),
    "npy form": ("/predict_npy", form("file", "a.npy", NPY), FORM),
    "batch": ("/predict_batch", BATCH, RAW),
    "batch zip": ("/predict_batch", zipped("a.npy", NPY), RAW),
    "images": ("/predict_images", form("files", *IMAGE), FORM),
    "images zip": ("/predict_images", zipped(*IMAGE), ZIP),
}
