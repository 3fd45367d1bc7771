"""Every kind of problem that the server answers, as a program reads it in `Problem.error`."""

from enum import StrEnum


class ErrorCode(StrEnum):
    """What kind of problem; new ones may come, so treat an unknown one by its HTTP status."""

    # The request and its key.
    BAD_REQUEST = "bad_request"
    UNKNOWN_HOST = "unknown_host"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    INVALID_REQUEST = "invalid_request"
    # The upload as a whole.
    EMPTY = "empty"
    CUT_OFF = "cut_off"
    TOO_SLOW = "too_slow"
    TOO_LARGE = "too_large"
    TOO_MANY_FILES = "too_many_files"
    WRONG_TYPE = "wrong_type"
    COMPRESSED = "compressed"
    BAD_FORM = "bad_form"
    NO_FILE = "no_file"
    BAD_ZIP = "bad_zip"
    NOT_ZIP = "not_zip"
    BAD_NAME = "bad_name"
    INVALID_INPUT = "invalid_input"
    # Arrays.
    NOT_NPY = "not_npy"
    NPZ = "npz"
    BAD_HEADER = "bad_header"
    WRONG_LENGTH = "wrong_length"
    WRONG_DTYPE = "wrong_dtype"
    WRONG_SHAPE = "wrong_shape"
    FORTRAN_ORDER = "fortran_order"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    WRONG_SCALE = "wrong_scale"
    AMBIGUOUS_SCALE = "ambiguous_scale"
    ALL_MISSING = "all_missing"
    # Images.
    NPY = "npy"
    MIXED = "mixed"
    NO_IMAGES = "no_images"
    BAD_IMAGE = "bad_image"
    # The server and its model.
    NO_MODEL = "no_model"
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    BUSY = "busy"
    TOOK_TOO_LONG = "took_too_long"
    SHUTTING_DOWN = "shutting_down"
    NO_EXAMPLE = "no_example"
    MODEL_FAILED = "model_failed"
    INTERNAL_ERROR = "internal_error"
