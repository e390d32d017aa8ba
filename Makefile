# Everything below works on a fresh machine with Python (>= 3.11), pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Tests share the cores; results do not depend on it.
WORKERS ?= auto

.PHONY: help install demo test test-slow lint benchmark clean

help:
	@echo "make demo       the main job on an embedded phantom, 2 to 4 minutes on 2 cores"
	@echo "make test       the test suite, under 12 minutes on 2 cores"
	@echo "make test-slow  the long checks (memory of a full-size ROI, large phantoms)"
	@echo "make lint       ruff, import-linter, mypy, unused definitions, language"
	@echo "make benchmark  every kernel beside every peer, about an hour on a quiet machine"
	@echo "make install    .venv with everything the demo and the tests need"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[benchmark]' --group dev
	touch $@

demo: install
	$(BIN)/helaseg demo demo-out --overwrite

test: install
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" -q

test-slow: install
	$(BIN)/python -m pytest -m slow -q

benchmark: install
	$(BIN)/python -m benchmarks

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/vulture
	$(BIN)/python checks/language.py

clean:
	rm -rf $(VENV) demo-out build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
