"""Names that are spelled once: the alias, the tags of runs and versions, and artifacts."""

#: The alias that serving follows. Aliases are case-sensitive; this is the only spelling.
PRODUCTION = "Production"

#: Tags on runs and registered versions.
ENTRY_TAG = "flare.entry"
KIND_TAG = "flare.kind"
#: Why a run failed.
ERROR_TAG = "flare.error"
#: On the trials of a search: their states, as Optuna names them, and why they were pruned.
STATE_TAG, PRUNED_TAG = "optuna.state", "flare.pruned"
#: On a search, its trials and the version that it registered: the study and the trial's number.
STUDY_TAG, TRIAL_TAG = "flare.study", "flare.trial"
#: On such a version: the regions that the search was scored on.
SEARCHED_TAG = "flare.searched_on"
#: On the empty run that `mlflow run` made: which one was resumed instead.
RESUMED_TAG = "flare.resumed"
DATA_TAG = "flare.data"
#: In which precision a network was trained, where ``precision`` may be auto.
PRECISION_TAG = "flare.precision"
SYNTHETIC_TAG = "flare.synthetic"
#: Its value if it is unknown whether the images are real; else ``true`` or ``false``.
UNKNOWN = "unknown"
FINGERPRINT_TAG = "flare.data_fingerprint"
PACK_TAG = "flare.pack_fingerprint"
SPLIT_TAG = "flare.split_fingerprint"
AUDIT_TAG = "flare.audit"
#: On a verification: the methods that look too good, or ``ok``.
SCREENING_TAG = "flare.screening"
CALIBRATION_TAG = "flare.calibration"
#: Which samples calibration, thresholds and interval were fitted on.
POSTPROCESSING_TAG = "flare.tuned_on"
ON_VALIDATION, OUT_OF_FOLD = "validation", "out_of_fold"
#: ``false`` for a version without skill over climatology on validation, and why.
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

#: The forecaster's folder in a logged model.
FORECASTER_ARTIFACT = "forecaster"
#: One sample that it can forecast, in a logged model's artifacts.
EXAMPLE_FILE = "example.npy"

#: Artifacts of a training run; the second kind of scores is added by ``evaluate``.
MODEL_CARD = "model_card.md"
VALIDATION_SCORES, TEST_SCORES = "validation.json", "test.json"
#: All scores of a run, one per row; ``mlflow.load_table`` reads several runs at once.
SCORE_TABLE = "scores.json"
#: Folder of the scores on other data, other label scales or at stated base rates.
EVALUATIONS = "evaluations"
