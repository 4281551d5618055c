# Muster's habits. `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# The newest Python there is, from 3.11 on; `make PYTHON=/path/to/python …` takes another.
PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$name"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Tests start hundreds of processes; none of them shall compile Muster anew.
unexport PYTHONDONTWRITEBYTECODE

# QUICK=1: one iteration of the benchmarks, a short chaos run. What CI does, so that neither rots.
QUICK ?=
# Files that pytest is given, and anything else for it: `make test T=tests/cli ARGS=-x`.
T ?= tests
ARGS ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: setup ## Set up and run the demo: 10,000 contacts, one campaign, no service needed
	@$(BIN)/muster demo

.PHONY: setup
setup: $(VENV)/.ready ## Make .venv with the locked dependencies and the muster command

.PHONY: setup-dev
setup-dev: $(VENV)/.ready-dev ## The same, and what tests, types and lint need

.PHONY: test
test: setup-dev ## Run the tests; services that are missing are named and their tests skipped
	$(BIN)/python -m pytest $(T) $(ARGS) --ignore=tests/chaos -n 2 --durations=12 --durations-min=5

.PHONY: chaos
chaos: setup-dev ## Run the fault suite: real processes, killed and cut off; writes tests/chaos/results.json (QUICK=1 keeps nothing)
	$(if $(QUICK),MUSTER_CHAOS_QUICK=1) $(BIN)/python -m pytest tests/chaos $(ARGS)

.PHONY: bench
bench: setup-dev ## Run the benchmarks; writes bench/results.json
	$(BIN)/python -m bench $(if $(QUICK),--quick) $(ARGS)

.PHONY: lint
lint: setup-dev ## Style, format, and the arrows of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

.PHONY: format
format: setup-dev ## Rewrite files in the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: types
types: setup-dev ## Check the types
	$(BIN)/mypy

.PHONY: docs
docs: setup-dev ## Check the documentation: links, settings, commands, proofs of the guarantees
	$(BIN)/python -m pytest tests/cli/test_docs.py $(ARGS)

.PHONY: answers
answers: setup-dev ## Write docs/answers.md anew from the rules that classify providers' answers
	$(BIN)/python -m engine.answers.page > docs/answers.md

.PHONY: lock
lock: ## Write the lock files anew from pyproject.toml (needs uv; UPGRADE=1 takes newer versions)
	@command -v uv >/dev/null || { echo "make lock needs uv: python3 -m pip install uv"; exit 1; }
	@$(call compile,requirements.txt,--group build)
	@$(call compile,requirements-dev.txt,--group build --group dev)

compile = uv pip compile pyproject.toml $(2) --output-file $(1) --generate-hashes --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --no-emit-index-annotation --no-annotate --quiet $(if $(UPGRADE),--upgrade) \
	--custom-compile-command "make lock" && echo "wrote $(1)"

.PHONY: migration
migration: setup-dev ## Write the migration that the tables need: make migration M="add a column"
	@test -n "$(M)" || { echo 'say what it does: make migration M="add a column"'; exit 2; }
	$(BIN)/python -m state.migrations "$(M)"
	@$(BIN)/ruff check --fix state/migrations/versions >/dev/null; $(BIN)/ruff format --quiet state/migrations/versions

.PHONY: image
image: ## Build the container image
	docker build --tag muster .

.PHONY: clean
clean: ## Remove what the targets made, the demo's data included
	rm -rf $(VENV) muster-data build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# The set-up is done once for each state of the lock file and pyproject.toml; after that it costs nothing.

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Muster needs Python 3.11 or newer, and none was found. Install one, or name it: make PYTHON=/path/to/python run"; \
		exit 1; fi
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "This Python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.ready: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing the locked dependencies (once; takes about a minute)"
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.ready-dev: requirements-dev.txt $(VENV)/.ready
	@echo "installing what the tests need"
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@
