# Two entrances: `make demo` (pictures in two minutes) and `make test`. Both make their own virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: demo test simulate lint format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   renders the example storefront on the studio; pictures go to examples/storefront/renders"
	@echo "make test   runs the test suite"
	@echo "make simulate SEEDS=1000000   runs the whole reconciler under so many seeds of faults, on all cores"
	@echo "make lint   ruff, mypy, import-linter"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "glossi-sync needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of extras: what is installed already is not asked for again.
$(VENV)/studio.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[studio]'
	@touch $@

$(VENV)/dev.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/studio.installed

demo: $(VENV)/studio.installed
	$(BIN)/glossi-sync apply --yes -f examples/storefront/glossi.yaml

test: $(VENV)/dev.installed
	$(BIN)/python -m pytest -n $(WORKERS)

# The suite runs 2,000 seeds of it; START goes on where another run has ended.
SEEDS ?= 1000000
START ?= 0
simulate: $(VENV)/dev.installed
	PYTHONPATH=tests $(BIN)/python -m simulation --seeds $(SEEDS) --start $(START)

lint: $(VENV)/dev.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis examples/*/state examples/*/renders
