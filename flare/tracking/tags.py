"""The names that are spelled once: the model, its alias, and the tags that people sort by."""

#: The alias that serving follows. Aliases are case-sensitive; this is the only spelling.
PRODUCTION = "Production"

#: Tags on runs and registered versions.
ENTRY_TAG = "flare.entry"
KIND_TAG = "flare.kind"
#: Why a run failed.
ERROR_TAG = "flare.error"
#: Tells a child run from others, so that it is made once.
CHILD_TAG = "flare.child"
#: On the empty run that `mlflow run` made: which one was gone on with instead.
RESUMED_TAG = "flare.resumed"
DATA_TAG = "flare.data"
#: In which precision a network was trained, where ``precision`` may be auto.
PRECISION_TAG = "flare.precision"
SYNTHETIC_TAG = "flare.synthetic"
#: Its value where nothing says whether the images are real; else ``true`` or ``false``.
UNKNOWN = "unknown"
FINGERPRINT_TAG = "flare.data_fingerprint"
PACK_TAG = "flare.pack_fingerprint"
SPLIT_TAG = "flare.split_fingerprint"
AUDIT_TAG = "flare.audit"
CALIBRATION_TAG = "flare.calibration"
#: Which samples calibration, thresholds and interval were fitted on.
TUNED_TAG = "flare.tuned_on"
ON_VALIDATION, OUT_OF_FOLD = "validation", "out_of_fold"
#: ``false`` for a version that is worth no more than climatology on validation, and why.
LEARNED_TAG = "flare.learned"
NOT_LEARNED_REASON_TAG = "flare.learned.reason"
#: On a version: which samples its test scores are of, and which run evaluated it.
TEST_DATA_TAG, TEST_RUN_TAG = "flare.test_data", "flare.test_run"
SEEN_TAG = "flare.trained_on_scored_regions"
MODEL_TAG = "flare.model"
MODEL_VERSION_TAG = "flare.model_version"
MODEL_DIGEST_TAG = "flare.model_digest"
MODEL_SYNTHETIC_TAG = "flare.model_synthetic"
FORCED_TAG = "flare.forced_because"

#: Where in a logged model the forecaster's folder lies.
FORECASTER_ARTIFACT = "forecaster"
#: And one sample that it can forecast, in a logged model's artifacts.
EXAMPLE_FILE = "example.npy"

#: Files that the run of a model has, or gets when it is evaluated on its test split.
MODEL_CARD = "model_card.md"
VALIDATION_SCORES, TEST_SCORES = "validation.json", "test.json"
#: Folder of the scores on other data, other label scales or at stated base rates.
EVALUATIONS = "evaluations"
