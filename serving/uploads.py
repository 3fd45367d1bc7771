"""From the body of a request to a checked cube; every refusal with the HTTP status that fits it."""

from flare.errors import InputInvalid
from flare.npy import NpyRejected, cube_of_npy
from flare.sample import Cube

#: What is no .npy file at all is of the wrong media type, what is damaged is a bad request, and
#: what is a whole array but no sample cannot be processed.
STATUS = {"not_npy": 415, "bad_header": 400, "wrong_length": 400}
OTHERWISE = 422


class UploadRejected(InputInvalid):
    """An upload that is no sample; ``status`` is the HTTP status, ``code`` the kind of problem."""

    def __init__(self, status: int, code: str, detail: str, *, hint: str) -> None:
        super().__init__(f"{detail}; {hint}")
        self.status, self.code, self.detail, self.hint = status, code, detail, hint


def cube_of_upload(buffer: bytes | bytearray | memoryview) -> Cube:
    """Read a sample from the bytes of an uploaded .npy file, by the rules of ``cube_of_npy``.

    Raises
    ------
    UploadRejected
        415 for what is no .npy file; 400 for one that is damaged or not as long as it claims;
        422 for another type, shape or range, for NaN, and where all images are missing.
    """
    try:
        return cube_of_npy(buffer)
    except NpyRejected as error:
        status = STATUS.get(error.code, OTHERWISE)
        hint = f"{error.hint}; GET /sample.npy is an example"
        raise UploadRejected(status, error.code, error.detail, hint=hint) from error
