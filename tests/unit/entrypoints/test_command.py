import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from entrypoints.command import fail, parse, run
from flare.config import ENTRY_POINTS, PackConfig, PredictConfig, TrainConfig
from flare.errors import ModelNotFound, TrainingDiverged

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def process_as_it_was():
    """Put signals and logging back: a command sets both for the process that it is."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    logger = logging.getLogger("flare")
    handlers, level = list(logger.handlers), logger.level
    signal.signal(signal.SIGTERM, lambda number, _frame: pytest.fail(f"signal {number} came"))
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a workflow as `python -m entrypoints.train ARGUMENTS`; return exit code and output."""

    def call(workflow, *arguments):
        monkeypatch.setattr(sys, "argv", ["train", *arguments])
        code = 0
        try:
            run("train", TrainConfig, workflow)
        except SystemExit as ended:
            code = ended.code
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


def nothing(_config):
    pass


def test_the_workflow_gets_the_config_of_the_command_line(command):
    configs = []
    code, out, err = command(configs.append, "--epochs", "5", "--data_dir", "data/other")
    assert (code, out, err) == (0, "", "")
    assert configs == [TrainConfig(epochs=5, data_dir=Path("data/other"))]


def test_without_arguments_the_defaults_hold():
    assert parse("train", TrainConfig, []) == TrainConfig()


@pytest.mark.parametrize(
    ("argument", "value"), [("true", True), ("false", False), ("False", False), ("1", True)]
)
def test_a_switch_is_written_out_as_mlproject_does(argument, value):
    assert parse("train", TrainConfig, ["--mirror", argument]).mirror is value


def test_the_empty_text_of_mlproject_is_not_a_path():
    assert parse("pack", PackConfig, ["--pack_dir", ""]).pack_dir is None
    assert parse("predict", PredictConfig, ["--output", ""]).output is None


def test_a_text_with_spaces_and_equals_signs_comes_through():
    arguments = ["--input", "a folder/x=1, y", "--model", "runs:/0abc/model"]
    config = parse("predict", PredictConfig, arguments)
    assert (config.input, config.model) == (Path("a folder/x=1, y"), "runs:/0abc/model")


BAD = [
    (["--epochs", "0"], "epochs=0: Input should be greater than or equal to 1"),
    (["--epochs", "many"], "epochs=many: "),
    (["--learning_rate", "nan"], "learning_rate=nan: "),
    (["--image_size", "100"], "choose one of 32, 64, 128, 256"),
    (["--accelerator", "tpu"], "accelerator=tpu: "),
    (["--mirror", "perhaps"], "mirror=perhaps: "),
    (["--no_such_parameter", "1"], "no_such_parameter"),
    (["--seed"], "seed"),
    (["surplus"], "surplus"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda value: str(value)[:30])
def test_a_bad_argument_is_one_line_on_stderr_and_exit_code_2(command, arguments, message):
    code, out, err = command(lambda _config: pytest.fail("it ran"), *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("train: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert message in err


def test_an_unknown_parameter_says_where_the_parameters_are_listed(command):
    _, _, err = command(nothing, "--epoch", "3")
    assert "`python -m entrypoints.train --help` lists the parameters" in err


def test_two_bad_arguments_are_both_named(command):
    _, _, err = command(nothing, "--epochs", "0", "--batch_size", "1")
    assert "epochs=0" in err
    assert "batch_size=1" in err


@pytest.mark.parametrize("error", [ModelNotFound, TrainingDiverged])
def test_an_expected_error_is_one_line_on_stderr_and_exit_code_2(command, error):
    def workflow(_config):
        raise error("no model 'x'\n   in here;\ttrain one")

    assert command(workflow) == (2, "", "train: no model 'x' in here; train one\n")


def test_a_defect_of_ours_keeps_its_traceback(command):
    def workflow(_config):
        raise ZeroDivisionError("a defect")

    with pytest.raises(ZeroDivisionError, match="a defect"):
        command(workflow)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_are_exit_code_130_and_no_traceback(command, number):
    cleaned = []

    def workflow(_config):
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            cleaned.append(True)

    assert command(workflow) == (130, "", "train: stopped\n")
    assert cleaned == [True]


def test_what_a_workflow_logs_comes_plainly_on_stderr(command):
    def workflow(_config):
        logging.getLogger("flare.workflows.train").info("epoch %d", 3)
        logging.getLogger("another.library").info("noise")

    assert command(workflow) == (0, "", "epoch 3\n")


def test_a_full_disk_is_one_line_although_it_names_no_file(command):
    def workflow(_config):
        with open("/dev/full", "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write("x")

    code, _, stderr = command(workflow)
    assert code == 2
    assert stderr.startswith("train: No space left on device; make room")


def test_failing_is_one_line_whatever_the_message(capsys):
    with pytest.raises(SystemExit) as ended:
        fail("pack", "  two\nlines ")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "pack: two lines\n"


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_every_entry_point_is_a_module_that_runs_this_config(name):
    module = (ROOT / "entrypoints" / f"{name}.py").read_text()
    assert f'run("{name}", {ENTRY_POINTS[name].__name__}, main)' in module


def test_an_entry_point_says_one_line_as_a_process_too():
    done = subprocess.run(
        [sys.executable, "-m", "entrypoints.train", "--epochs", "0"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("train: epochs=0: ")
    assert done.stderr.count("\n") == 1
