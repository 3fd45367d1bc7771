"""Expected errors, not defects; each message has the value and the next step.

Each is also a builtin. The command line prints them as one line and exits with 2; the server
answers with 4xx or 503.
"""

import re

#: Name and password in an address; messages reach terminals, logs and clients.
_CREDENTIALS = re.compile(r"//[^/@\s]+@")


class FlareError(Exception):
    """An expected failure, with a message for the user.

    Names and passwords in addresses are removed from it.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(_CREDENTIALS.sub("//***@", message))


class ConfigInvalid(FlareError, ValueError):
    """A parameter is unknown, of the wrong type, or out of its bounds."""


class DatasetNotFound(FlareError, FileNotFoundError):
    """A dataset folder, or a file that every dataset has, does not exist."""


class DatasetInvalid(FlareError, ValueError):
    """A dataset cannot be trusted: a missing column, a NaN label, a broken pack."""


class ArchiveInvalid(DatasetInvalid):
    """A file is not an archive, is damaged, or holds what could do harm when unpacked."""


class DownloadFailed(FlareError, ConnectionError):
    """No source delivered the file."""


class DiskTooSmall(FlareError, OSError):
    """The disk has too little room."""


class PlaceInUse(FlareError, BlockingIOError):
    """Another process is writing to the same place."""


class InputInvalid(FlareError, ValueError):
    """An array or image to forecast from has the wrong shape, type or range."""


class NpyRejected(InputInvalid):
    """A .npy file that does not hold a sample.

    ``code`` is the kind of problem: ``empty``, ``npz``, ``not_npy``, ``bad_header``,
    ``wrong_length``, ``wrong_dtype``, ``wrong_shape``, ``fortran_order``, ``not_finite``,
    ``out_of_range``, ``ambiguous_scale`` or ``all_missing``; ``detail`` says why and
    ``hint`` what to do about it.
    """

    def __init__(self, code: str, detail: str, *, hint: str) -> None:
        super().__init__(f"{detail}; {hint}")
        self.code, self.detail, self.hint = code, detail, hint


class ModelNotFound(FlareError, LookupError):
    """A run, registered version, alias or folder has no model."""


class PromotionRefused(FlareError, PermissionError):
    """A version is worse than Production, or cannot be compared with it."""


class ForecasterInvalid(FlareError, ValueError):
    """A forecaster folder is incomplete, damaged, or of a format that this version cannot read."""


class TrackingUnavailable(FlareError, ConnectionError):
    """The MLflow tracking server or registry does not answer, or not as MLflow does."""


class VerificationInvalid(FlareError, ValueError):
    """Forecasts and observations cannot be scored: NaN, different lengths, no samples."""


class TrainingDiverged(FlareError, ArithmeticError):
    """The loss became NaN or infinite."""


class DeviceMemoryFull(FlareError, MemoryError):
    """The memory of a GPU is too small for the training."""


class CheckpointInvalid(FlareError, ValueError):
    """A checkpoint is damaged, or belongs to other settings or data."""


class ProcessLost(FlareError, RuntimeError):
    """A process ended before its work was done."""


class StorageUnavailable(FlareError, ConnectionError):
    """The database of a search's studies does not answer."""
