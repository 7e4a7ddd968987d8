# Two entrances: `make demo` (pictures in two minutes) and `make test`. Both make their own virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: demo test test-postgres-s3 simulate kill studio-kills bench document docs lint format clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   renders the example storefront on the studio; pictures go to examples/storefront/renders"
	@echo "make test   runs the test suite"
	@echo "make test-postgres-s3   the end-to-end tests, with the studio's records in PostgreSQL and its files in a bucket"
	@echo "make simulate SEEDS=1000000   runs the whole reconciler under so many seeds of faults, on all cores"
	@echo "make kill KILLS=200   kills the console script at so many random moments, and proves that nothing is lost"
	@echo "make studio-kills KILLS=100   kills the studio's server at so many random moments under load, and proves the like"
	@echo "make bench   measures what benchmarks/README.md tells, a line for each; takes a quarter of an hour"
	@echo "make document EXAMPLES=1000   asks the studio whatever its OpenAPI document allows, and much that it does not"
	@echo "make docs   brings the help texts in docs/commands.md up to date"
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

# The suite runs the guide's commands and a few of the end-to-end tests so. It takes some minutes.
test-postgres-s3: $(VENV)/dev.installed
	GLOSSI_TEST_STUDIO=postgres-s3 $(BIN)/python -m pytest -n $(WORKERS) tests/e2e tests/studio/test_guide_curl.py \
	  tests/studio/test_service_records.py tests/studio/test_storage_bucket.py tests/studio/test_studio_elsewhere.py \
	  tests/studio/test_dask_cluster.py

# The suite runs 2,000 seeds of it; START goes on where another run has ended. Where the state lies is decided by the
# seed, or by BACKEND=memory|file|bucket|postgresql (the last on a real server, ten times slower).
SEEDS ?= 1000000
START ?= 0
simulate: $(VENV)/dev.installed
	PYTHONPATH=tests $(BIN)/python -m simulation --seeds $(SEEDS) --start $(START) $(if $(BACKEND),--backend $(BACKEND))

# The suite kills 8 times. SEED=… chooses the moments; without it they are new ones each time.
KILLS ?= 200
PRODUCTS ?= 200
kill: $(VENV)/dev.installed
	PYTHONPATH=tests $(BIN)/python -m kills --kills $(KILLS) --products $(PRODUCTS) $(if $(SEED),--seed $(SEED))

# The suite kills 6 times. SEED=… as above.
studio-kills: KILLS = 100
studio-kills: $(VENV)/dev.installed
	PYTHONPATH=tests $(BIN)/python -m studio_kills --kills $(KILLS) $(if $(SEED),--seed $(SEED))

# OCTODNS=…/bin/octodns-sync measures that peer as well.
BENCHMARKS ?= startup hash uploads plan change growth state apply events shards peers studio spin
bench: $(VENV)/dev.installed
	@for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done

# The suite asks with a few examples of each call.
EXAMPLES ?= 1000
document: $(VENV)/dev.installed
	GLOSSI_DOCUMENT_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest tests/studio/test_service_document.py

docs: $(VENV)/dev.installed
	$(BIN)/python docs/help_texts.py

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
