# Everything a developer does here. Needs only make and Python 3.11 or newer: `make PYTHON=python3.12 setup`.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/setup.stamp

.DEFAULT_GOAL := help
.PHONY: help setup demo docs pictures test gate crashes fuzz differential check format bench lock

help:  ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-15s %s\n", $$1, $$2 }'

setup: $(STAMP)  ## Create .venv with Headwater and all that its development needs

demo: setup  ## Show what Headwater does, in the terminal
	$(BIN)/headwater demo

docs: setup  ## Bring the reference and the answers in docs/ up to date, and build the site in build/docs
	$(BIN)/python -m docs.generate.pages
	$(BIN)/sphinx-build -q -W --keep-going docs build/docs

pictures: setup  ## Record the pictures of the shell anew, from the shell as it is now
	$(BIN)/python -m docs.pictures.record --png build/pictures

test: check  ## Run all checks and all tests, a part of what takes long
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

gate: check  ## Run all tests with all crash states, faults, rotten bytes, bits of ledgers and kills: for an hour
	HEADWATER_THOROUGH=1 $(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

crashes: STATES ?= 2000000
crashes: setup  ## Crash the log in many more ways, for a night: make crashes STATES=5000000
	$(BIN)/python -m tests.storage.crashes --states $(STATES) --lives $$(($(STATES) / 10))

fuzz: INPUTS ?= 1000000
fuzz: setup  ## Give the parser and planner mutated SQL, for a night: make fuzz INPUTS=10000000
	HEADWATER_FUZZ=$(INPUTS) $(BIN)/pytest -q tests/parser/test_fuzz.py

differential: QUERIES ?= 20000
differential: setup  ## Compare random continuous queries with DuckDB, for a night: make differential QUERIES=100000
	$(BIN)/python -m tests.executor.search --queries $(QUERIES) --steps 10

check: setup  ## Run the fast checks: lint, format, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: setup  ## Repair what can be repaired: imports, formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## Measure, and print the figures that the README states
	$(BIN)/headwater bench flights
	$(BIN)/headwater bench log
	$(BIN)/headwater bench nexmark --kept
	$(BIN)/headwater bench state
	$(BIN)/headwater bench past
	$(BIN)/headwater bench fork
	$(BIN)/headwater bench transactions
	$(BIN)/headwater bench guards
	$(BIN)/headwater bench pipelines
	$(BIN)/headwater bench ledger
	$(BIN)/headwater bench feedback
	$(BIN)/headwater bench shell

lock:  ## Write requirements-dev.lock anew from the newest releases
	@$(require_python)
	scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT \
	&& $(PYTHON) -m venv "$$scratch" \
	&& "$$scratch/bin/pip" install --quiet --editable '.[dev,demo]' \
	&& "$$scratch/bin/pip" freeze --exclude-editable > "$$scratch/frozen" \
	&& sed '/^#/!d' requirements-dev.lock | cat - "$$scratch/frozen" > "$$scratch/lock" \
	&& cp "$$scratch/lock" requirements-dev.lock

$(STAMP): pyproject.toml requirements-dev.lock
	@$(require_python)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint requirements-dev.lock --editable '.[dev,demo]'
	@touch $@

define require_python
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
|| { echo "Headwater needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
endef
