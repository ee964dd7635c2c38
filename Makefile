# The README's commands. Everything is set up by the first one that needs it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# flake8-async: 109: `timeout` is a field's name, not a design; 124: a seam may be async although one twin of it never
# waits; 114, 128: a `run` may be startable, and may pass task_status on to who starts.
ASYNC_RULES := ASYNC1,ASYNC2,ASYNC3,ASYNC900
ASYNC_EXCEPTIONS := ASYNC109,ASYNC114,ASYNC124,ASYNC128
# It takes its time, and has nothing to say of files without a word of trio or async.
ASYNC_FILES = $(shell grep -rlE '^ *(async |import trio|from trio)' --include='*.py' routerd routerctl tests benchmarks)

.PHONY: demo test slow lab check bench clean

$(VENV)/run.stamp: requirements/run.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "routerd needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	touch $@

demo: $(VENV)/run.stamp
	$(BIN)/routerd demo

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest tests -m "not lab and not slow"

slow: $(VENV)/dev.stamp
	$(BIN)/python -m pytest tests -m slow

lab: $(VENV)/dev.stamp
	$(BIN)/python -m pytest tests -m lab

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@echo 'flake8-async, of the files with a word of async'
	@$(BIN)/flake8 --select $(ASYNC_RULES) --extend-ignore $(ASYNC_EXCEPTIONS) $(ASYNC_FILES)
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_arrows.py
	$(BIN)/python -m tests.conformance --check

bench: $(VENV)/dev.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check dpkt scapy
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
