import inspect

import pytest

from flare import errors
from flare.errors import FlareError

KINDS = {
    "ConfigInvalid": ValueError,
    "DatasetNotFound": FileNotFoundError,
    "DatasetInvalid": ValueError,
    "ArchiveInvalid": ValueError,
    "DownloadFailed": ConnectionError,
    "DiskTooSmall": OSError,
    "PlaceInUse": BlockingIOError,
    "InputInvalid": ValueError,
    "ModelNotFound": LookupError,
    "PromotionRefused": PermissionError,
    "ForecasterInvalid": ValueError,
    "TrackingUnavailable": ConnectionError,
    "VerificationInvalid": ValueError,
    "TrainingDiverged": ArithmeticError,
    "DeviceMemoryFull": MemoryError,
    "CheckpointInvalid": ValueError,
    "ProcessLost": RuntimeError,
    "StorageUnavailable": ConnectionError,
}


@pytest.mark.parametrize("name", KINDS)
def test_an_error_is_the_builtin_that_it_stands_for_and_says_its_message_as_it_stands(name):
    # KeyError would put it in quotes, OSError with two arguments a number before it.
    with pytest.raises(KINDS[name]) as raised:
        raise getattr(errors, name)("no 'model' here; train one")
    assert isinstance(raised.value, FlareError)
    assert str(raised.value) == "no 'model' here; train one"


def test_every_error_of_the_project_is_in_this_list():
    result = {name for name, kind in inspect.getmembers(errors, inspect.isclass)}
    assert result - {"FlareError", "NpyRejected"} == set(KINDS)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://admin:secret@host:5000 is away", "http://***@host:5000 is away"),
        ("postgresql://u:p@host/x and http://v:w@h", "postgresql://***@host/x and http://***@h"),
        ("http://host/a@b stays", "http://host/a@b stays"),
    ],
)
def test_an_error_tells_no_password(given, expected):
    assert str(errors.TrackingUnavailable(given)) == expected


def test_a_rejected_npy_is_an_invalid_input_that_says_what_to_do():
    error = errors.NpyRejected("empty", "it is empty", hint="send a file")
    assert isinstance(error, errors.InputInvalid)
    assert (error.code, str(error)) == ("empty", "it is empty; send a file")
