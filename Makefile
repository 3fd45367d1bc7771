# Every target makes what it needs; `make demo` and `make test` work on a fresh clone.
# The first supported Python on PATH that can make virtual environments.
PYTHON ?= $(shell for one in python3.11 python3.12 python3.13 python3 python; do \
  $$one -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$one && break; done)
VENV := .venv
comma := ,
BIN := $(VENV)/bin
# What the job needs is installed; and what tests and documentation need too.
READY := $(VENV)/.ready
ALL := $(VENV)/.all
# `mlflow run` starts `python`: with this PATH it is the one of .venv.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# The experiment that runs go to; a literal `mlflow run` goes where MLflow sends it.
demo ui: export MLFLOW_EXPERIMENT_NAME ?= solar-flare

# A virtual environment knows where it was made: in a copied or renamed project it is made again.
MOVED := $(shell test -f $(VENV)/pyvenv.cfg && ! grep -qF "venv $(CURDIR)/$(VENV)" $(VENV)/pyvenv.cfg && echo moved)
ifdef MOVED
.PHONY: $(READY) $(ALL)
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo check test test-slow test-all ui serve docs notebooks mlproject lock clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Install the project with the extras $(1); $(2) says what that takes.
define install
@command -v "$(PYTHON)" >/dev/null || { echo "no supported Python on PATH: install 3.11, 3.12 or 3.13 (Debian: python3 and python3-venv), or pass PYTHON=/path/to/python3.11"; exit 2; }
@echo "making $(VENV) with $(PYTHON): $(2)"
@test -x $(BIN)/python -a -z "$(MOVED)" || { rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); }
@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[$(1)]'
@$(BIN)/python -m flare.tracking.store
endef

$(READY): pyproject.toml requirements.lock
	$(call install,train$(comma)serve,two to five minutes and 2 GB; 6 GB where pip takes the torch with CUDA)
	@touch $(READY)

$(ALL): pyproject.toml requirements.lock
	$(call install,train$(comma)serve$(comma)docs$(comma)dev,with all that tests$(comma) documentation and nowcast need: two to five minutes and 3 GB; 7 GB where pip takes the torch with CUDA)
	@touch $(READY) $(ALL)

setup: $(ALL)  ## make .venv with everything in it

demo: $(READY)  ## the whole job on synthetic regions: data, forest, CNN, scores, promotion, a forecast
	@echo "data, forest, CNN, scores, promotion and a forecast: about two minutes on two idle cores, 0.4 GB"
	mlflow run . --env-manager local $(ARGS)

check: setup  ## ruff, mypy --strict, and the contract tests (layers, MLproject, environments)
	ruff check .
	ruff format --check .
	mypy
	pytest -q tests/contract -m "not slow"

test: setup  ## all tests but the slow ones, in two processes
	pytest -q -n 2 --dist loadgroup -m "not slow"

test-slow: setup  ## the slow tests alone, in two processes
	pytest -q -n 2 --dist loadgroup -m slow

test-all: test test-slow  ## all tests

ui: $(READY)  ## MLflow's UI on http://127.0.0.1:5000
	@case "$$MLFLOW_TRACKING_URI" in http*) echo "the UI of your server: $$MLFLOW_TRACKING_URI"; exit 0;; esac; \
	echo "open http://127.0.0.1:5000/#/experiments/$$(python -m flare.tracking.store experiment)/runs?workflowType=machine_learning"; \
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow server --host 127.0.0.1 --port 5000 --workers 1 \
	  --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" --default-artifact-root "$(CURDIR)/mlruns"

serve: $(READY)  ## the Production model on http://127.0.0.1:8000
	python -m serving --host 127.0.0.1 --port 8000

docs: setup  ## the documentation as a site in outputs/site; every warning is an error
	sphinx-build -q -W --keep-going -d outputs/site-cache docs outputs/site
	@echo "open outputs/site/index.html"

notebooks: setup  ## execute the notebooks on data/synthetic; `make docs` then shows their output
	mkdir -p outputs/notebooks
	for one in notebooks/*.ipynb; do jupyter execute --output="$(CURDIR)/outputs/notebooks/$${one#notebooks/}" "$$one" || exit 1; done

mlproject: setup  ## write MLproject from flare/config/__init__.py
	python -m flare.mlproject > MLproject.new && mv MLproject.new MLproject

lock: setup  ## write requirements.lock from .venv
	{ head -2 requirements.lock; pip freeze --exclude-editable | sed 's/+cpu$$//' | LC_ALL=C sort -f; } > lock.new && mv lock.new requirements.lock

clean:  ## remove .venv and caches; keep data and runs
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
