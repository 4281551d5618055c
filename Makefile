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

# Two processes; what waits for work takes over some of what the other has left.
PYTEST = $(BIN)/python -m pytest $(T) $(ARGS) --ignore=tests/chaos -n 2 --dist worksteal --durations=12 --durations-min=5

.PHONY: test
test: setup-dev ## Run the tests that take minutes; services that are missing are named and their tests skipped
	$(PYTEST) -m "not slow"

.PHONY: test-all
test-all: setup-dev ## Run every test but the fault suite: also those with processes, large data and real time
	$(PYTEST)

# Of the tests that `make test` leaves out, those that walk a user's whole way.
WALKS = tests/acceptance/test_main_path.py tests/cli/test_readme.py tests/cli/test_processes.py \
	tests/cli/test_migrations.py tests/targeting/test_contract.py tests/sdk/test_sdk.py tests/console/test_walk.py tests/monitoring/test_scrape.py

.PHONY: walks
walks: setup-dev ## Walk users' whole ways: the README, the main path over each broker, the vendors' clients, a browser
	$(MAKE) --no-print-directory test-all T="$(WALKS)"

.PHONY: coverage
coverage: setup-dev ## Run the tests of `make test`; fails if the coverage of engine/ and state/ falls below the bound
	COVERAGE_CORE=sysmon $(PYTEST) -m "not slow" --cov --cov-report=term

.PHONY: chaos
chaos: setup-dev ## Run the fault suite: real processes, killed and cut off; writes tests/chaos/results.json (QUICK=1 keeps nothing)
	$(if $(QUICK),MUSTER_CHAOS_QUICK=1) $(BIN)/python -m pytest tests/chaos $(ARGS)

# Seconds that the hostile clients have.
SECONDS ?= 120

.PHONY: attack
attack: setup-dev ## Attack the API: generated requests by every role, and 50 hostile clients for SECONDS=120
	MUSTER_ATTACK=$(SECONDS) $(BIN)/python -m pytest tests/attack tests/api/test_isolation.py $(ARGS)

.PHONY: bench
bench: setup-dev ## Run the benchmarks; writes bench/results.json
	$(BIN)/python -m bench $(if $(QUICK),--quick) $(ARGS)

.PHONY: trace
trace: setup-dev ## Count the files, functions and calls of one recipient's way (ARGS=--list names them)
	$(BIN)/python -m bench.trace $(ARGS)

.PHONY: lint
lint: setup-dev ## Style, format, the arrows of the house, and whether the synchronous client is the generated one
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python clients/python/generate.py --check
	$(BIN)/lint-imports

.PHONY: format
format: setup-dev ## Rewrite files in the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: client
client: setup-dev ## Write the synchronous client anew from the asynchronous one
	$(BIN)/python clients/python/generate.py

.PHONY: typescript
typescript: setup-dev ## Make the package of types for TypeScript clients in build/typescript (needs Node's npx)
	PYTHONPATH=. $(BIN)/python clients/typescript/generate.py build/typescript

.PHONY: types
types: setup-dev ## Check the types, also of tests and benchmarks
	$(BIN)/mypy

.PHONY: docs
docs: setup-dev ## Check the documentation: links, settings, commands, proofs of the guarantees
	$(BIN)/python -m pytest tests/cli/test_docs.py $(ARGS)

.PHONY: site
site: setup-dev ## Build the documentation as a site in build/site; fails on a broken link
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

.PHONY: answers
answers: setup-dev ## Write docs/answers.md anew from the rules that classify providers' answers
	$(BIN)/python -m engine.answers.page > docs/answers.md

.PHONY: metrics
metrics: setup-dev ## Write docs/metrics.md anew from the table of metrics
	$(BIN)/python -m engine.kernel.metrics_page > docs/metrics.md

.PHONY: asyncapi
asyncapi: setup-dev ## Write docs/asyncapi.json anew from the tables of events and commands
	$(BIN)/python -m engine.events.asyncapi > docs/asyncapi.json

.PHONY: dashboard
dashboard: setup-dev ## Write Grafana's dashboard deploy/grafana/muster.json anew
	$(BIN)/python -m deploy.grafana.dashboard > deploy/grafana/muster.json

.PHONY: pictures
pictures: setup-dev ## Make the pictures of the console's pages in docs/console anew (needs Debian's chromium)
	$(BIN)/python -m tests.console.pictures

.PHONY: messages
messages: setup-dev ## Collect the console's texts into engine/api/console/locale/de.po, which then wants its German ones
	@cd engine/api/console && ../../../$(BIN)/pybabel -q extract -F locale/babel.cfg --no-location --omit-header -o locale/all.pot . \
		&& ../../../$(BIN)/pybabel -q update -N --no-fuzzy-matching --ignore-obsolete --omit-header -i locale/all.pot -o locale/de.po -l de \
		&& rm locale/all.pot

.PHONY: diagrams
diagrams: setup-dev ## Write docs/life-cycles.md anew from the tables of allowed moves
	$(BIN)/python -m state.diagrams > docs/life-cycles.md

.PHONY: answers-full
answers-full: setup-dev ## Run the table of providers' answers (docs/limits.md) at its full sizes; about an hour
	MUSTER_FULL_SIZE=1 $(BIN)/python -m pytest tests/answers/test_delivery.py -s $(ARGS)

.PHONY: random-mail
random-mail: setup-dev ## Send 20,000 random messages through real SMTP (N=…); PYTHON=… and a VENV of its own for another Python
	MUSTER_RANDOM_MAILS=$(or $(N),20000) $(BIN)/python -m pytest tests/channels/test_random_mail.py --timeout 3600 $(ARGS)

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

# What compose.yaml and the Dockerfile name.
IMAGES = PYTHON_IMAGE=python:3.13-slim POSTGRES_IMAGE=postgres:17 REDIS_IMAGE=redis:8

.PHONY: pin-images
pin-images: ## Write the digests that the images have now into .env (needs docker and its registry)
	@umask 077; pinned=$$(for image in $(IMAGES); do \
		digest=$$(docker buildx imagetools inspect "$${image#*=}" --format '{{.Manifest.Digest}}') || exit 1; \
		echo "$$image@$$digest"; done) || exit 1; \
	touch .env; kept=$$(grep -vE '^(PYTHON|POSTGRES|REDIS)_IMAGE=' .env); printf '%s\n' $${kept:+"$$kept"} "$$pinned" > .env; \
	echo "$$pinned"

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
	@$(BIN)/python -m compileall -q actors config engine state
	@touch $@

$(VENV)/.ready-dev: requirements-dev.txt $(VENV)/.ready
	@echo "installing what the tests need"
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@
