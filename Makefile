# `make demo` and `make test` install what is missing first. `make help` lists everything.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help

bin := .venv/bin
# Arguments for pytest: make test ARGS='tests/unit -k filter'
ARGS ?=
# Measurements for the benchmark (all by default), repetitions, and how long a soak lasts.
NAME ?=
REPEAT ?= 5
SECONDS ?= 1800

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

.PHONY: setup
setup: packages environment ## install what is missing: Debian packages, the console's environment, the lake
	@$(bin)/qostui lake install

.PHONY: packages
packages:
	@setup/system.sh

.PHONY: environment
environment: packages
	@setup/environment.sh

.PHONY: demo
demo: setup ## start the lake and open the console on it; KEEP=1 keeps the lake afterwards
	@KEEP='$(KEEP)' setup/demo.sh

.PHONY: test
test: setup check ## check the code and run the whole suite, against the lake too; ARGS='...' for pytest
	@$(bin)/python -m pytest $(ARGS)

.PHONY: test-40
test-40: setup ## the tests that need a lake with Rucio 40.4.2
	@$(bin)/python -m pytest -m rucio40 $(ARGS)

.PHONY: bench
bench: setup ## measure the console against its budgets; NAME='keys idle' for a part, REPEAT=1 for a quick look
	@$(bin)/python -m bench --repeat $(REPEAT) $(NAME)

.PHONY: soak
soak: environment ## half an hour of updates and keys; fails when memory grows; SECONDS=300 shortens it
	@$(bin)/python -m bench.soak --seconds $(SECONDS)

.PHONY: check
check: environment ## lint, types and import contracts
	@$(bin)/ruff check .
	@$(bin)/mypy
	@$(bin)/lint-imports --no-logo

.PHONY: locks
locks: ## make the lock files anew from locks/*.in
	@setup/locks.sh

.PHONY: picture
picture: setup ## make the README's picture from a real run
	@$(bin)/python setup/picture.py

.PHONY: clean-room
clean-room: ## try both commands in a bare Debian 12 (needs root); log in build/clean-room.log
	@setup/clean_room.sh

.PHONY: clean
clean: ## remove what was built here: .venv, build, caches (not the lake: `qostui lake` looks after that)
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find qostui tests setup bench -name __pycache__ -type d -prune -exec rm -rf {} +
