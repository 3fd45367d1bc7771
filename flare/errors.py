"""The errors that a user can cause or meet, each with the value, the place and the next step.

Every one is also the builtin that it stands for, so code that knows nothing of this project can
still catch it. The command line prints them as one line and exits with 2; the server answers them
with a 4xx or 503. Anything else that is raised is a defect of ours.
"""

import re

#: Name and password in an address: messages reach terminals, logs and clients.
_CREDENTIALS = re.compile(r"//[^/@\s]+@")


class FlareError(Exception):
    """An expected failure whose message is meant for the user as it stands.

    What an address in it has before its ``@`` is left out.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(_CREDENTIALS.sub("//***@", message))


class ConfigInvalid(FlareError, ValueError):
    """A parameter is unknown, of the wrong type, or out of its bounds."""


class DatasetNotFound(FlareError, FileNotFoundError):
    """A dataset folder, or a file that every dataset has, is not there."""


class DatasetInvalid(FlareError, ValueError):
    """A dataset is there but cannot be trusted: a missing column, a NaN label, a broken pack."""


class ArchiveInvalid(DatasetInvalid):
    """An archive is damaged, no archive at all, or holds what could do harm when unpacked."""


class DownloadFailed(FlareError, ConnectionError):
    """None of the places to download from gave the file."""


class DiskTooSmall(FlareError, OSError):
    """The disk has too little room."""


class PlaceInUse(FlareError, BlockingIOError):
    """Another process is writing to the same place."""


class InputInvalid(FlareError, ValueError):
    """An array or image that somebody asks a forecast for has the wrong shape, type or range."""


class NpyRejected(InputInvalid):
    """A .npy file that holds no sample.

    ``code`` is the kind of problem: ``empty``, ``npz``, ``not_npy``, ``bad_header``,
    ``wrong_length``, ``wrong_dtype``, ``wrong_shape``, ``fortran_order``, ``not_finite``,
    ``out_of_range``, ``ambiguous_scale`` or ``all_missing``; ``detail`` says what is wrong and
    ``hint`` what to do about it.
    """

    def __init__(self, code: str, detail: str, *, hint: str) -> None:
        super().__init__(f"{detail}; {hint}")
        self.code, self.detail, self.hint = code, detail, hint


class ModelNotFound(FlareError, LookupError):
    """A run, registered version, alias or folder names no model."""


class PromotionRefused(FlareError, PermissionError):
    """A version is worse than Production, or cannot be compared with it."""


class ForecasterInvalid(FlareError, ValueError):
    """A forecaster folder is incomplete, damaged, or of a format that this version cannot read."""


class TrackingUnavailable(FlareError, ConnectionError):
    """The MLflow tracking server or registry does not answer, or answers nonsense."""


class VerificationInvalid(FlareError, ValueError):
    """Forecasts and observations cannot be scored: NaN, different lengths, no samples."""


class TrainingDiverged(FlareError, ArithmeticError):
    """The loss became NaN or infinite."""


class DeviceMemoryFull(FlareError, MemoryError):
    """The memory of a GPU is too small for a training."""


class CheckpointInvalid(FlareError, ValueError):
    """A checkpoint is damaged, or of a training with other settings or data."""


class ProcessLost(FlareError, RuntimeError):
    """A process ended before its work was done."""
