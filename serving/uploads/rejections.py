"""An upload that is no sample: the one exception that names its own HTTP status."""

from flare.errors import InputInvalid


class UploadRejected(InputInvalid):
    """An upload that is no sample; ``status`` is the HTTP status, ``code`` the kind of problem."""

    def __init__(self, status: int, code: str, detail: str, *, hint: str) -> None:
        super().__init__(f"{detail}; {hint}")
        self.status, self.code, self.detail, self.hint = status, code, detail, hint
