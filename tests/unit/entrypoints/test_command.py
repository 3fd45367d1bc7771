import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from entrypoints.command import fail, parse, run
from flare.config import ENTRY_POINTS, PackConfig, PredictConfig, TrainConfig
from flare.errors import ModelNotFound

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


def test_the_workflow_gets_the_config_of_the_command_line(command):
    configs = []
    code, out, err = command(configs.append, "--epochs", "5", "--data_dir", "data/other")
    assert (code, out, err) == (0, "", "")
    assert configs == [TrainConfig(epochs=5, data_dir=Path("data/other"))]


@pytest.mark.parametrize(
    ("name", "config", "arguments", "parsed"),
    [
        ("train", TrainConfig, [], {}),
        ("train", TrainConfig, ["--mirror", "true"], {"mirror": True}),
        ("train", TrainConfig, ["--mirror", "False"], {"mirror": False}),
        ("train", TrainConfig, ["--mirror", "1"], {"mirror": True}),
        ("pack", PackConfig, ["--pack_dir", ""], {"pack_dir": None}),
        ("predict", PredictConfig, ["--input", "a b/x=1, y"], {"input": Path("a b/x=1, y")}),
        ("predict", PredictConfig, ["--model", "runs:/0a/model"], {"model": "runs:/0a/model"}),
    ],
)
def test_arguments_are_read_as_mlproject_writes_them(name, config, arguments, parsed):
    assert parse(name, config, arguments) == config(**parsed)


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ("--epochs 0", ["epochs=0: Input should be greater than or equal to 1"]),
        ("--epochs many --batch_size 1", ["epochs=many: ", "batch_size=1: "]),
        ("--image_size 100", ["choose one of 32, 64, 128, 256"]),
        ("--accelerator tpu", ["accelerator=tpu: "]),
        ("--epoch 3", ["--epoch", "`python -m entrypoints.train --help` lists the parameters"]),
        ("--seed", ["seed"]),
        ("surplus", ["surplus"]),
    ],
)
def test_a_bad_argument_is_one_line_on_stderr_and_exit_code_2(command, arguments, messages):
    code, out, err = command(lambda _config: pytest.fail("it ran"), *arguments.split())
    assert (code, out) == (2, "")
    assert err.startswith("train: ")
    assert err.endswith("\n")
    assert len(err.splitlines()) == 1
    assert [message for message in messages if message not in err] == []


def test_an_expected_error_is_one_line_on_stderr_and_exit_code_2(command):
    def workflow(_config):
        raise ModelNotFound("no model 'x'\n   in here;\ttrain one")

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
